import { describe, expect, it } from 'vitest';
import { oneFpsCount, sampleFrameIndices } from '../../src/video/frame-indices';
import { goldenJson } from '../support/golden';

interface Case {
  num_frames: number;
  requested: number;
  indices: number[];
}

const golden = await goldenJson<{
  linspace: Case[];
  one_fps: (Case & { duration: number; max_frame: number | null })[];
}>('frame_indices.json');

describe('sampleFrameIndices', () => {
  it.each(golden.linspace)('takes $requested of $num_frames frames as numpy.linspace does', (c) => {
    expect(sampleFrameIndices(c.num_frames, c.requested)).toEqual(c.indices);
  });

  it.each(golden.one_fps)('takes one frame a second of $duration s (limit $max_frame)', (c) => {
    const count = oneFpsCount(c.duration, c.max_frame ?? undefined);
    expect(count).toBe(c.requested);
    expect(sampleFrameIndices(c.num_frames, count)).toEqual(c.indices);
  });

  it('refuses clips without frames', () => {
    expect(() => sampleFrameIndices(0, 16)).toThrow('numFrames is 0');
    expect(() => sampleFrameIndices(16, 0)).toThrow('count is 0');
  });
});
