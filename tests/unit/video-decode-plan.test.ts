import { describe, expect, it } from 'vitest';
import { planRuns } from '../../src/video/decode-plan';
import { SampleReader } from '../../src/video/sample-reader';
import type { Sample } from '../../src/video/video-file';

/** Samples in decoding order from their presentation ranks; 'K' marks a key frame. */
function track(text: string) {
  const samples: Sample[] = text.split(' ').map((part, i) => ({
    offset: i * 100,
    size: 100,
    isKey: part.startsWith('K'),
    timestamp: Number(part.replace('K', '')) * 1000,
    duration: 1000,
  }));
  const frames = samples
    .map((s, sample) => ({ sample, time: s.timestamp / 1e6 }))
    .sort((a, b) => a.time - b.time);
  return { samples, frames };
}

describe('planRuns', () => {
  it('decodes from the key frame to the wanted frame and no further', () => {
    const video = track('K0 3 1 2 K4 7 5 6');
    expect(planRuns(video, [2])).toEqual([{ first: 0, end: 4, wanted: new Map([[3, [0]]]) }]);
    expect(planRuns(video, [4])).toEqual([{ first: 4, end: 5, wanted: new Map([[4, [0]]]) }]);
  });

  it('joins frames of one group, and keeps repeated indices', () => {
    const video = track('K0 3 1 2 K4 7 5 6');
    expect(planRuns(video, [1, 1, 3, 7])).toEqual([
      {
        first: 0,
        end: 3,
        wanted: new Map([
          [2, [0, 1]],
          [1, [2]],
        ]),
      },
      { first: 4, end: 6, wanted: new Map([[5, [3]]]) },
    ]);
  });

  it('goes back one group for frames shown before their key frame', () => {
    const video = track('K0 1 K4 2 3 5');
    expect(planRuns(video, [2])[0]).toMatchObject({ first: 0, end: 4 });
    expect(planRuns(video, [5])[0]).toMatchObject({ first: 2, end: 6 });
  });

  it('refuses a frame that is not there', () => {
    expect(() => planRuns(track('K0 1'), [2])).toThrow('There is no frame 2: the video has 2.');
  });
});

describe('SampleReader', () => {
  it('reads neighbours at once and never beyond the limit', async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
    const reads: [number, number][] = [];
    class Recorded extends Blob {
      override slice(start = 0, end = this.size): Blob {
        reads.push([start, end]);
        return super.slice(start, end);
      }
    }
    const { samples } = track('K0 1 2 K3 4');
    const reader = new SampleReader(new Recorded([bytes]));
    for (const i of [1, 2, 4])
      expect(await reader.read(samples[i]!, i < 3 ? 300 : 500)).toEqual(
        bytes.subarray(i * 100, i * 100 + 100),
      );
    expect(reads).toEqual([
      [100, 300],
      [400, 500],
    ]);
  });
});
