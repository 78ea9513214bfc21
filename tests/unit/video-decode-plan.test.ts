import { describe, expect, it } from 'vitest';
import { planRuns } from '../../src/video/decode-plan';
import { ByteRangeReader } from '../../src/video/sample-reader';

/** Samples in decoding order from their presentation ranks; 'K' marks a key frame. */
function track(text: string) {
  const parts = text.split(' ');
  const timestamps = Float64Array.from(parts, (part) => Number(part.replace('K', '')) * 1000);
  const samples = {
    length: parts.length,
    positions: Float64Array.from(parts, (_, i) => i * 100),
    sizes: new Uint32Array(parts.length).fill(100),
    keys: Uint8Array.from(parts, (part) => Number(part.startsWith('K'))),
    timestamps,
    durations: new Float64Array(parts.length).fill(1000),
  };
  const order = Uint32Array.from(parts.keys()).sort((a, b) => timestamps[a]! - timestamps[b]!);
  const times = Float64Array.from(order, (sample) => timestamps[sample]! / 1e6);
  return { samples, frames: { length: order.length, samples: order, times } };
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

describe('ByteRangeReader', () => {
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
    const reader = new ByteRangeReader(new Recorded([bytes]), samples);
    for (const i of [1, 2, 4])
      expect(await reader.read(i, i < 3 ? 3 : 5)).toEqual(bytes.subarray(i * 100, i * 100 + 100));
    expect(reads).toEqual([
      [100, 300],
      [400, 500],
    ]);
  });
});
