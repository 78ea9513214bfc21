import { expect, it, vi } from 'vitest';
import { openVideo } from '../../src/video/container';
import { decodeFrames } from '../../src/video/decode';
import { VideoError } from '../../src/video/errors';
import { sampleFrameIndices } from '../../src/video/frame-indices';
import { readPixels } from '../../src/video/frame-pixels';
import { seeded } from '../support/attention-cases';
import { collectGarbage, heldBytes } from '../support/held-bytes';
import { mutateMp4 } from '../support/mutate-mp4';
import { mutateWebm } from '../support/mutate-webm';
import { videoBytes } from '../support/video-fixtures';

const MP4 = [
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
const WEBM = ['vp8.webm', 'vp9.webm', 'av1.webm', 'b-frames.mkv', 'rotated.mkv', 'uneven.mkv'];
// VITE_FUZZ_SEED and VITE_FUZZ_FILES try other files than the test run's.
const FIRST_SEED = Number(import.meta.env.VITE_FUZZ_SEED ?? 1);
const MP4_FILES = Number(import.meta.env.VITE_FUZZ_FILES ?? 300);
const WEBM_FILES = Number(import.meta.env.VITE_FUZZ_FILES ?? 60);
const LIMIT_MS = 5000;
/** What a file of a few kilobytes may cost, and the garbage of those before it. */
const LIMIT_BYTES = 150 * 2 ** 20;

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

// `known` seeds once brought the parser down: a count of samples that filled the memory, a search without end.
it.each([
  { kind: 'MP4', bases: MP4, mutate: mutateMp4, files: MP4_FILES, kinds: 5, known: [1461] },
  { kind: 'WebM', bases: WEBM, mutate: mutateWebm, files: WEBM_FILES, kinds: 4, known: [50907] },
])(
  'gives frames or a sentence for $files broken $kind files',
  async ({ bases, mutate, files, kinds, known }) => {
    vi.spyOn(console, 'error').mockImplementation(() => {}); // The parsers print what they find.
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    const unhandled: string[] = [];
    const note = (event: PromiseRejectionEvent | ErrorEvent) => {
      unhandled.push(String('reason' in event ? event.reason : event.message));
      event.preventDefault();
    };
    window.addEventListener('unhandledrejection', note);
    window.addEventListener('error', note);
    const intact = await Promise.all(bases.map(videoBytes));
    await collectGarbage();
    const before = await heldBytes();
    const outcomes: Record<string, number> = {};
    const failures: string[] = [];
    let most = 0;
    const seeds = Array.from({ length: files }, (_, i) => FIRST_SEED + i);
    for (const seed of [...seeds, ...known]) {
      const base = seed % bases.length;
      const { bytes, damage } = mutate(intact[base]!, seeded(seed));
      const start = performance.now();
      try {
        const kind = await inTime(outcome(new File([bytes], 'mutant.mp4')));
        outcomes[kind] = (outcomes[kind] ?? 0) + 1;
        const held = (await heldBytes()) - before;
        most = Math.max(most, held);
        if (held > LIMIT_BYTES) throw new Error(`${(held / 2 ** 20).toFixed(0)} MB are held.`);
        if (unhandled.length) throw new Error(`Unhandled: ${unhandled.splice(0).join('; ')}`);
      } catch (error) {
        const ms = (performance.now() - start).toFixed(0);
        failures.push(`seed ${seed}, ${bases[base]}, ${damage.join(' + ')}, ${ms} ms: ${error}`);
      }
    }
    window.removeEventListener('unhandledrejection', note);
    window.removeEventListener('error', note);
    vi.restoreAllMocks();
    console.log(`At most ${(most / 2 ** 20).toFixed(0)} MB held. Outcomes: ${JSON.stringify(outcomes)}`);
    expect(failures).toEqual([]);
    // The damage must leave some files readable and spoil others, or nothing was tried.
    expect(outcomes.frames).toBeGreaterThan(files / 20);
    expect(Object.keys(outcomes).length).toBeGreaterThanOrEqual(kinds);
  },
);
