import { describe, expect, it } from 'vitest';
import { RawSamples } from '../../src/video/raw-samples';
import { buildSampleTable } from '../../src/video/sample-table';

/** Samples of 100 units each, 1000 a second, in decoding order by composition time. */
function track(...times: number[]): RawSamples {
  const raw = new RawSamples();
  for (const [i, cts] of times.entries()) raw.add(i * 10, 10, cts, 100, i === 0);
  return raw;
}

const TIMES = { timescale: 1000, movieTimescale: 600 };
const shown = (table: ReturnType<typeof buildSampleTable>) => [...table.frames.samples];
const times = (table: ReturnType<typeof buildSampleTable>) => [...table.frames.times];

describe('buildSampleTable', () => {
  it('orders by composition time and starts at zero without an edit list', () => {
    const table = buildSampleTable(track(200, 500, 300, 400), TIMES);
    expect(shown(table)).toEqual([0, 2, 3, 1]);
    expect(times(table)).toEqual([0, 0.1, 0.2, 0.3].map((t) => expect.closeTo(t)));
    expect(table.seconds).toBeCloseTo(0.4);
    expect([...table.samples.timestamps]).toEqual([200000, 500000, 300000, 400000]);
  });

  it('shows the frames whose own time lies in the edit', () => {
    const edits = [{ segment_duration: 120, media_time: 150 }]; // 0.2 s from 0.15 s on
    const table = buildSampleTable(track(0, 100, 200, 300, 400), { ...TIMES, edits });
    expect(shown(table)).toEqual([2, 3]);
    expect(table.frames.times[0]).toBeCloseTo(0.05);
  });

  it('shifts times by an empty edit, and shows a stretch twice where the list does', () => {
    const edits = [
      { segment_duration: 600, media_time: -1 },
      { segment_duration: 120, media_time: 0 },
      { segment_duration: 60, media_time: 100 },
    ];
    const table = buildSampleTable(track(0, 100, 200), { ...TIMES, edits });
    expect(shown(table)).toEqual([0, 1, 1]);
    expect(times(table)).toEqual([1, 1.1, 1.2].map((t) => expect.closeTo(t)));
    expect(table.seconds).toBeCloseTo(0.3);
  });

  it('takes an edit of no duration as the whole track', () => {
    const table = buildSampleTable(track(0, 100, 200), {
      ...TIMES,
      edits: [{ segment_duration: 0, media_time: 100 }],
    });
    expect(shown(table)).toEqual([1, 2]);
  });

  it('makes repeated times unique', () => {
    const table = buildSampleTable(track(0, 0, 0), TIMES);
    expect(new Set(table.samples.timestamps).size).toBe(3);
  });
});
