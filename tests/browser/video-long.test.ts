import { beforeAll, describe, expect, it } from 'vitest';
import { openVideo } from '../../src/video/container';
import { decodeFrames } from '../../src/video/decode';
import { sampleFrameIndices } from '../../src/video/frame-indices';
import type { OpenOptions } from '../../src/video/video-file';
import { numberOf } from '../support/frame-number';
import { collectGarbage, heldBytes } from '../support/held-bytes';
import { GROUP_FRAMES, longMp4, manyFragments } from '../support/long-mp4';
import { videoBytes } from '../support/video-fixtures';

const MB = 2 ** 20;

/** A file that counts what is read of it. */
class CountedFile extends File {
  bytesRead = 0;
  reads = 0;
  override slice(start = 0, end = this.size, type?: string): Blob {
    this.bytesRead += Math.min(end, this.size) - start;
    this.reads++;
    return super.slice(start, end, type);
  }
}

const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`;

/** Opens a file and takes 16 frames. `peak` is the most that was held at every fourth of them. */
async function take16(file: File, onProgress?: OpenOptions['onProgress']) {
  await collectGarbage();
  const before = await heldBytes();
  const start = performance.now();
  const video = await openVideo(file, onProgress ? { onProgress } : {});
  const opened = performance.now();
  let peak = await heldBytes();
  const measuring = performance.now() - opened;
  const indices = sampleFrameIndices(video.frameCount, 16);
  const numbers: number[] = [];
  await decodeFrames(video, indices, {
    async onFrame(position, frame) {
      numbers[position] = await numberOf(frame, video);
      if (position % 4 === 0) peak = Math.max(peak, await heldBytes());
    },
  });
  const ms = performance.now() - start - measuring;
  return { video, indices, numbers, openMs: opened - start, ms, peak: peak - before };
}

describe('a two-hour file of 4.4 GB', () => {
  let clip: Uint8Array;
  let sound: Uint8Array;
  let shortMs = 0;

  beforeAll(async () => {
    [clip, sound] = [await videoBytes('moov-last.mp4'), await videoBytes('sound-only.mp4')];
    const make = () => new File([clip as BlobPart], 'short.mp4');
    await take16(make()); // The first use of a decoder starts a process.
    shortMs = (await take16(make())).ms;
  });

  it.each([true, false])(
    'opens and gives 16 frames soon, out of little memory (moov first: %s)',
    async (moovFirst) => {
      const made = longMp4(clip, sound, { hours: 2, bytes: 4.4e9, moovFirst });
      expect(made.file.size).toBeGreaterThan(2 ** 32);
      expect([made.frames, made.audioFrames]).toEqual([216_000, 337_500]);
      const file = new CountedFile([made.file], 'long.mp4');
      const { video, indices, numbers, openMs, ms, peak } = await take16(file);
      console.log(
        `moov ${moovFirst ? 'first' : 'last'}: ${ms.toFixed(0)} ms (tables ${openMs.toFixed(0)}; a short clip ` +
          `${shortMs.toFixed(0)}), ${mb(peak)} held, ${mb(file.bytesRead)} in ${file.reads} reads, tables of ${mb(made.tableBytes)}`,
      );
      expect(video.frameCount).toBe(216_000);
      expect(video.durationSeconds).toBeCloseTo(7200, 3);
      expect(numbers).toEqual(indices.map((i) => i % GROUP_FRAMES));
      expect(ms - shortMs).toBeLessThan(3000);
      expect(peak).toBeLessThan(300 * MB);
      expect(file.bytesRead).toBeLessThan(made.tableBytes + 16 * made.groupBytes + MB);
    },
  );
});

describe('a file of 20,000 fragments', () => {
  let file: CountedFile;

  beforeAll(async () => {
    const clip = await videoBytes('fragmented.mov');
    file = new CountedFile([manyFragments(clip, 20_000)], 'stream.mp4');
  });

  it('is scanned with progress', async () => {
    const steps: number[] = [];
    const { video, indices, numbers, openMs, peak } = await take16(file, (done, total) => {
      expect(total).toBe(file.size);
      steps.push(done);
    });
    console.log(`20,000 fragments: ${openMs.toFixed(0)} ms, ${mb(peak)} held, ${file.reads} reads`);
    expect(video.frameCount).toBe(20_000 * GROUP_FRAMES);
    expect(numbers).toEqual(indices.map((i) => i % GROUP_FRAMES));
    expect(peak).toBeLessThan(300 * MB);
    expect(steps.length).toBeGreaterThan(20);
    expect(steps.every((done, i) => done >= (steps[i - 1] ?? 0) && done <= file.size)).toBe(true);
    expect(steps.at(-1)).toBeGreaterThan(file.size * 0.95);
  });

  it('is given up at once when the user cancels, and nothing is left', async () => {
    await collectGarbage();
    const before = await heldBytes();
    const cancel = new AbortController();
    let asked = false;
    /** Reads when the user cancelled. */
    let reads = 0;
    let done = 0;
    const opening = openVideo(file, {
      signal: cancel.signal,
      onProgress(bytes) {
        done = bytes;
        // From a task of its own, as a message to the worker comes: the scan must let it in.
        if (!asked && bytes > file.size / 3) {
          asked = true;
          setTimeout(() => {
            reads = file.reads;
            cancel.abort(new DOMException('The user cancelled.', 'AbortError'));
          });
        }
      },
    });
    await expect(opening).rejects.toMatchObject({ name: 'AbortError', message: 'The user cancelled.' });
    const at = done;
    expect(at).toBeLessThan(file.size / 2);
    // At once: the read under way, and no other.
    expect(reads).toBeGreaterThan(0);
    expect(file.reads).toBeLessThanOrEqual(reads + 1);
    ({ reads } = file);
    await collectGarbage();
    expect((await heldBytes()) - before).toBeLessThan(8 * MB);
    expect([file.reads, done]).toEqual([reads, at]);
  });
});
