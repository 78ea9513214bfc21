import { describe, expect, it } from 'vitest';
import { ScratchPool } from '../../src/blocks/wgsl/scratch-pool';
import { assignSlots, type ScratchValue } from '../../src/blocks/wgsl/scratch-slots';
import { nodeCountingGpu } from '../support/counting';
import { uniforms } from '../support/random-values';

const overlap = (a: ScratchValue, b: ScratchValue) => a.first <= b.last && b.first <= a.last;

describe('places of values inside a graph', () => {
  it('are shared by values that are never needed together, each large enough, the largest first', () => {
    const next = uniforms(3);
    for (let round = 0; round < 200; round++) {
      const values = Array.from({ length: 1 + Math.floor(next() * 12) }, (_, i): ScratchValue => {
        const first = Math.floor(next() * 15);
        return {
          name: `v${i}`,
          bytes: 4 * (1 + Math.floor(next() * 9)),
          first,
          last: first + Math.floor(next() * 5),
        };
      });
      const { bytes, slotOf } = assignSlots(values);
      expect([...bytes].sort((a, b) => b - a)).toEqual(bytes);
      for (const [i, a] of values.entries()) {
        expect(bytes[slotOf.get(a.name)!]).toBeGreaterThanOrEqual(a.bytes);
        for (const b of values.slice(i + 1))
          if (overlap(a, b)) expect(slotOf.get(a.name)).not.toBe(slotOf.get(b.name));
      }
      // No more places than values in the worst case, and none that nobody has.
      expect(new Set(slotOf.values()).size).toBe(bytes.length);
    }
  });

  it('of a block with gate and up in f16: their product, each of them, the residual stream', () => {
    const [H, M] = [8, 100];
    const value = (name: string, bytes: number, first: number, last: number) => ({
      name,
      bytes,
      first,
      last,
    });
    const { bytes, slotOf } = assignSlots([
      value('attended', 4 * H, 0, 5),
      value('normed', 4 * H, 1, 3),
      value('gate', 2 * M, 2, 4),
      value('up', 2 * M, 3, 4),
      value('product', 4 * M, 4, 5),
      value('next normed', 4 * H, 6, 9),
    ]);
    expect(bytes).toEqual([4 * M, 2 * M, 2 * M, 4 * H]);
    expect(slotOf.get('product')).toBe(0);
  });
});

describe('ScratchPool', () => {
  it('has no more than the most that was asked for, and frees what it replaces when nothing names it', () => {
    const gpu = nodeCountingGpu();
    const pool = new ScratchPool(gpu);
    const sizes = () => pool.slots([]).map(({ size }) => size);
    const [first] = pool.slots([64, 32]);
    expect(pool.slots([48])[0]).toBe(first);
    pool.slots([80, 16, 16]);
    expect(sizes()).toEqual([80, 32, 16]);
    // The one of 64 is named by commands until they are submitted.
    expect(gpu.memory.bytes).toBe(80 + 32 + 16 + 64);
    pool.submitted();
    expect(gpu.memory.bytes).toBe(80 + 32 + 16);
    gpu.memory.resetPeak();
    pool.slots([160]);
    expect([gpu.memory.bytes, gpu.memory.peakBytes]).toEqual([160 + 32 + 16, 160 + 32 + 16]);
    pool.destroy();
    expect(gpu.memory.bytes).toBe(0);
  });
});
