import type { Gpu } from '../../gpu/device';

/** Sizes of the dense kernels on a kind of adapter. */
export interface Tiles {
  /** Rows up to which a product takes the kernel of few rows. */
  few: number;
  /** The kernel of few rows: threads that share a dot product, or undefined where `small` tiles do it. */
  lanes: number | undefined;
  /** Pairs of rows and of columns of a thread's tile, for few rows or a narrow result (CPU adapters). */
  small: RegisterTile;
  /** The same for many rows. */
  large: RegisterTile;
  /** Columns up to which a result is narrow, as the inner side of LoRA is. */
  narrow: number;
  /** Threads that share a row in a norm, and rows of a workgroup. */
  norm: { lanes: number; rows: number };
}

/** A thread makes 2 `rowPairs` rows x 2 `columnPairs` columns. */
export interface RegisterTile {
  rowPairs: number;
  columnPairs: number;
}

/*
 * What the two rows come from (`bench/RESULTS.md`): a CPU adapter runs four threads in one SIMD register. A load is four
 * scalar ones with their bounds checked, ten times dearer than a multiply-add, and a barrier switches stacks; swapping
 * values between the four threads is one instruction. So: large tiles in registers, shared by swapping, no barriers.
 * A GPU has caches and workgroup memory that serve neighbouring threads, and needs many threads.
 */
const TILES: Record<'cpu' | 'gpu', Tiles> = {
  cpu: {
    few: 16,
    lanes: undefined,
    small: { rowPairs: 2, columnPairs: 2 },
    large: { rowPairs: 4, columnPairs: 4 },
    narrow: 8,
    norm: { lanes: 1, rows: 4 },
  },
  gpu: {
    few: 16,
    lanes: 16,
    small: { rowPairs: 2, columnPairs: 2 },
    large: { rowPairs: 4, columnPairs: 4 },
    narrow: 8,
    norm: { lanes: 64, rows: 1 },
  },
};

/** The row of the table for an adapter; where tiles in workgroup memory are switched off, the one without. */
export function tilesFor(gpu: Gpu): Tiles {
  return TILES[gpu.adapter.isFallback || gpu.off.has('tiles') ? 'cpu' : 'gpu'];
}
