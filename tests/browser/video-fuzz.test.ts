import { expect, it, vi } from 'vitest';
import { openVideo } from '../../src/video/container';
import { decodeFrames } from '../../src/video/decode';
import { VideoError } from '../../src/video/errors';
import { sampleFrameIndices } from '../../src/video/frame-indices';
import { readPixels } from '../../src/video/frame-pixels';
import { seeded } from '../support/attention-cases';
import { mutateMp4 } from '../support/mutate-mp4';
import { videoBytes } from '../support/video-fixtures';

const BASES = [
  'moov-last.mp4',
  'faststart.mp4',
  'fragmented.mp4',
  'fragmented.mov',
  'edit-list.mp4',
  'with-sound.mov',
  'rotated.mp4',
  'vp9.mp4',
  'av1.mp4',
];
// VITE_FUZZ_SEED and VITE_FUZZ_FILES try other files than the test run's.
const FIRST_SEED = Number(import.meta.env.VITE_FUZZ_SEED ?? 1);
const FILES = Number(import.meta.env.VITE_FUZZ_FILES ?? 300);
const LIMIT_MS = 5000;

/** What became of a file: 'frames', or the code of the error that the user reads. */
async function outcome(file: File): Promise<string> {
  try {
    const video = await openVideo(file);
    await decodeFrames(video, sampleFrameIndices(video.frameCount, 16), {
      async onFrame(_, frame) {
        await readPixels(frame, video);
      },
    });
    return 'frames';
  } catch (error) {
    if (!(error instanceof VideoError)) throw error;
    expect(error.message).toMatch(/^mutant\.mp4 .*\.$/s);
    expect(error.hint).toMatch(/^[A-Z].*\.$/);
    return error.code;
  }
}

function inTime<T>(work: Promise<T>): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error(`Nothing came in ${LIMIT_MS} ms.`)), LIMIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

it(`gives frames or a sentence for ${FILES} broken files`, async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {}); // The parser prints what it finds.
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  const unhandled: string[] = [];
  const note = (event: PromiseRejectionEvent | ErrorEvent) => {
    unhandled.push(String('reason' in event ? event.reason : event.message));
    event.preventDefault();
  };
  window.addEventListener('unhandledrejection', note);
  window.addEventListener('error', note);
  const bases = await Promise.all(BASES.map(videoBytes));
  const outcomes: Record<string, number> = {};
  const failures: string[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + FILES; seed++) {
    const base = seed % bases.length;
    const { bytes, damage } = mutateMp4(bases[base]!, seeded(seed));
    const start = performance.now();
    try {
      const kind = await inTime(outcome(new File([bytes], 'mutant.mp4')));
      outcomes[kind] = (outcomes[kind] ?? 0) + 1;
      if (unhandled.length) throw new Error(`Unhandled: ${unhandled.splice(0).join('; ')}`);
    } catch (error) {
      const ms = (performance.now() - start).toFixed(0);
      failures.push(`seed ${seed}, ${BASES[base]}, ${damage.join(' + ')}, ${ms} ms: ${error}`);
    }
  }
  window.removeEventListener('unhandledrejection', note);
  window.removeEventListener('error', note);
  vi.restoreAllMocks();
  console.log(`Outcomes: ${JSON.stringify(outcomes)}`);
  expect(failures).toEqual([]);
  // The damage must leave some files readable and spoil others, or nothing was tried.
  expect(outcomes.frames).toBeGreaterThan(FILES / 20);
  expect(Object.keys(outcomes).length).toBeGreaterThan(4);
});
