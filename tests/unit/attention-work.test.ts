import { describe, expect, it } from 'vitest';
import { keyWork } from '../../src/attention/key-plan';
import { visibleRanges } from '../../src/attention/reference';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import { layoutFor, tileBytes, variantsFor } from '../../src/attention/variants';
import { attentionWork, idealKvRows, type Work, type WorkLayout } from '../../src/attention/work';
import { randomAttention } from '../support/attention-cases';

const NONE = 0xffffffff;
/** The published model, and a GPU with 32 KiB of workgroup memory. */
const SHAPE = { q_heads: 16, kv_heads: 2, head_dim: 128 };
const ADAPTER = {
  isFallback: false,
  limits: { maxComputeWorkgroupStorageSize: 32_768, maxComputeInvocationsPerWorkgroup: 256 },
};
const TILES = layoutFor(variantsFor(SHAPE, ADAPTER)[0]!, SHAPE);
/** A CPU adapter's, and what a GPU falls back on. */
const REGISTERS = [{ ...ADAPTER, isFallback: true }, ADAPTER].map((adapter) =>
  layoutFor(variantsFor(SHAPE, adapter).at(-1)!, SHAPE),
);

/** A step of `prompts` prompts with `G` answers each; answers that are in `ended` have no row. */
function step(
  prompts: number,
  P: number,
  G: number,
  suffix: (i: number) => number,
  ended = new Set<number>(),
) {
  const tree = new SegmentTree();
  const runs: QueryRun[] = [];
  for (let p = 0; p < prompts; p++) {
    const parent = tree.add({ parent: -1, capacity: P, causal: true });
    tree.append(parent, P);
    for (let g = 0; g < G; g++) {
      const length = suffix(p * G + g);
      const segment = tree.add({ parent, capacity: length, causal: true });
      tree.append(segment, length);
      if (!ended.has(p * G + g)) runs.push({ row: runs.length, count: 1, segment, offset: length - 1 });
    }
  }
  return { tree, runs };
}

/** KV rows that each query row sees, by what the units say; and that parts and joins belong together. */
function seenRows(work: Work): Map<number, number[]> {
  const { words, members_at, ranges_at, joins_at } = work;
  const quad = (i: number) => [...words.subarray(4 * i, 4 * i + 4)] as [number, number, number, number];
  const seen = new Map<number, number[]>();
  const partials = new Map<number, number[]>();
  for (const { first_unit, unit_count, kv_start } of work.batches) {
    for (let unit = first_unit; unit < first_unit + unit_count; unit++) {
      const [firstMember, members, firstRange, ranges] = quad(unit);
      for (let m = 0; m < members; m++) {
        const [row, limit, partial] = quad(members_at + firstMember + m);
        const rows = seen.get(row) ?? [];
        seen.set(row, rows);
        if (partial !== NONE) partials.set(row, [...(partials.get(row) ?? []), partial]);
        for (let r = 0; r < ranges; r++) {
          const [start, count, base, causal] = quad(ranges_at + firstRange + r);
          const visible = causal ? Math.min(count, Math.max(limit, base) - base) : count;
          for (let i = 0; i < visible; i++) rows.push(kv_start + start + i);
        }
      }
    }
  }
  const joined = new Map<number, number[]>();
  for (let j = 0; j < work.join_count; j++) {
    const [row, first, count] = quad(joins_at + j);
    joined.set(
      row,
      Array.from({ length: count }, (_, i) => first + i),
    );
  }
  for (const list of partials.values()) list.sort((a, b) => a - b);
  expect(partials).toEqual(joined);
  for (const rows of seen.values()) rows.sort((a, b) => a - b);
  return seen;
}

describe('attentionWork', () => {
  it('shows every row the keys that it sees, once, on random trees in every layout', () => {
    const layouts: WorkLayout[] = [
      TILES,
      ...REGISTERS,
      { rows: 2, shared_rows: 2, units: 16, min_keys: 8, few_rows: 0 },
      { rows: 8, shared_rows: 3, units: 40, min_keys: 4, few_rows: 1 },
      { rows: 4, shared_rows: 4, units: 1, min_keys: 1, few_rows: 0, whole_rows: true },
      { rows: 4, shared_rows: 4, units: 16, min_keys: 8, few_rows: 1, window_rows: 16 },
    ];
    for (let seed = 1; seed <= 200; seed++) {
      const { tree, runs } = randomAttention(seed);
      const want = new Map<number, number[]>();
      for (const run of runs) {
        for (let i = 0; i < run.count; i++) {
          const rows = visibleRanges(tree, run.segment, run.offset + i).flatMap(([start, count]) =>
            Array.from({ length: count }, (_, j) => start + j),
          );
          want.set(
            run.row + i,
            rows.sort((a, b) => a - b),
          );
        }
      }
      for (const [i, layout] of layouts.entries()) {
        const got = seenRows(attentionWork(tree, runs, layout));
        expect(new Map([...got].sort(([a], [b]) => a - b)), `seed ${seed}, layout ${i}`).toEqual(want);
      }
    }
  });

  it('reads a decode step’s keys within 10 % of once a segment, for up to 64 children and several prompts', () => {
    for (const [prompts, G] of [
      [1, 1],
      [1, 8],
      [1, 16],
      [1, 64],
      [8, 8],
    ] as const) {
      for (const P of [700, 2000, 16_384]) {
        const { tree, runs } = step(prompts, P, G, (i) => 1 + ((i * 67) % 512));
        const ideal = idealKvRows(tree, runs);
        expect(ideal).toBe(tree.segments.reduce((sum, { length }) => sum + length, 0));
        for (const layout of [TILES, ...REGISTERS]) {
          const work = attentionWork(tree, runs, layout);
          expect(work.kv_rows_read / ideal, `${prompts} x ${G}, ${P}`).toBeLessThan(1.1);
        }
      }
    }
  });

  it('gives an only child under a prefix the work of one sequence', () => {
    const { tree, runs } = step(1, 700, 1, () => 256);
    const alone = new SegmentTree();
    alone.append(alone.add({ parent: -1, capacity: 956, causal: true }), 956);
    for (const layout of [TILES, ...REGISTERS]) {
      const shared = attentionWork(tree, runs, layout);
      const copied = attentionWork(alone, [{ row: 0, count: 1, segment: 0, offset: 955 }], layout);
      expect(shared.batches).toEqual(copied.batches);
      // Limits say how far a row sees into its own segment; here it sees all of it.
      const { members_at, ranges_at } = shared;
      expect(shared.words.subarray(4 * ranges_at)).toEqual(copied.words.subarray(4 * ranges_at));
      expect(shared.words.subarray(0, 4 * members_at)).toEqual(copied.words.subarray(0, 4 * members_at));
    }
  });

  it('reads a fork’s trunk once, and nothing of sequences that have ended', () => {
    const tree = new SegmentTree();
    const add = (parent: number, length: number) => {
      const segment = tree.add({ parent, capacity: length, causal: true });
      tree.append(segment, length);
      return segment;
    };
    const prompt = add(-1, 300);
    const trunk = add(prompt, 40);
    const leaves = [add(trunk, 5), add(trunk, 9), add(prompt, 30)];
    const runs = leaves.map((segment, row) => ({
      row,
      count: 1,
      segment,
      offset: tree.segments[segment]!.length - 1,
    }));
    expect(attentionWork(tree, runs, TILES).kv_rows_read).toBe(300 + 40 + 5 + 9 + 30);
    expect(attentionWork(tree, runs.slice(1), TILES).kv_rows_read).toBe(300 + 40 + 9 + 30);
    expect(attentionWork(tree, [], TILES)).toMatchObject({ batches: [], kv_rows_read: 0, join_count: 0 });
  });

  it('never lets a unit or a tile of keys reach over the end of a window', () => {
    const { tree, runs } = step(3, 100, 4, (i) => 5 + 9 * i);
    const work = attentionWork(tree, runs, { ...TILES, window_rows: 32 });
    expect(work.batches.length).toBeGreaterThan(5);
    const { batches, words } = keyWork(tree, runs, 32);
    for (const { first_tile, tile_count, kv_start } of batches) {
      expect(kv_start % 32).toBe(0);
      for (let tile = first_tile; tile < first_tile + tile_count; tile++)
        expect(words[8 * tile]! + words[8 * tile + 1]!).toBeLessThanOrEqual(32);
    }
  });
});

describe('variantsFor', () => {
  it('keeps tiles within the workgroup memory of an adapter', () => {
    for (const bytes of [16_384, 32_768, 65_536]) {
      const adapter = { ...ADAPTER, limits: { ...ADAPTER.limits, maxComputeWorkgroupStorageSize: bytes } };
      for (let head_dim = 8; head_dim <= 128; head_dim += 8) {
        for (const cache of ['f32', 'f16'] as const) {
          const types = { rows: cache, cache };
          for (const subgroup of [1, 4, 8, 32]) {
            const variants = variantsFor({ ...SHAPE, head_dim }, adapter, types, subgroup);
            const tiles = variants.filter((variant) => variant.kind === 'tiles');
            // Shuffles first, where a subgroup holds a quad of lanes; without them next; registers last.
            expect(tiles.map(({ subgroups }) => subgroups)).toEqual(subgroup === 1 ? [false] : [true, false]);
            expect(variants.at(-1)!.kind).toBe('threads');
            for (const variant of tiles) {
              expect(tileBytes(variant, head_dim, types)).toBeLessThanOrEqual(bytes);
              if (variant.subgroups) expect(variant.LANES).toBeLessThanOrEqual(subgroup);
            }
          }
        }
      }
    }
  });
});
