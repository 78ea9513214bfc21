import type { Gpu } from '../../gpu/device';
import { subgroupSize } from '../../gpu/subgroup-size';

/** Sizes of the dense kernels on a kind of adapter. */
export interface Tiles {
  /** Products: tiles in registers without barriers, or through workgroup memory by many threads. */
  products: RegisterTiles | WorkgroupTiles;
  /** Norms: threads that share a row at most, and threads of a workgroup. */
  norm: { lanes: number; threads: number };
}

/** Kernels linear.wgsl, linear-untransposed.wgsl, weight-grad.wgsl. */
export interface RegisterTiles {
  kind: 'registers';
  /** A thread's tile for up to `few` rows or `narrow` columns, and for more. */
  small: RegisterTile;
  large: RegisterTile;
  few: number;
  narrow: number;
}

/** A thread makes 2 `rowPairs` rows x 2 `columnPairs` columns. */
export interface RegisterTile {
  rowPairs: number;
  columnPairs: number;
}

/** Kernels linear-row.wgsl, linear-tiled.wgsl, weight-grad-rows.wgsl. */
export interface WorkgroupTiles {
  kind: 'workgroup';
  /** Rows that read a weight together, ascending; above the last, linear-tiled.wgsl. */
  few: readonly number[];
  /** Threads that share a dot product of few rows at most, and threads of their workgroup. */
  lanes: number;
  threads: number;
}

/*
 * What the two rows come from: a CPU adapter (SwiftShader) runs four threads in one SIMD register. A vec4 load is four
 * scalar ones with their bounds checked and costs as much as six or seven dot products of vec4s, a barrier switches
 * stacks, and swapping values between the four threads is one instruction. So: large tiles in registers, shared by
 * swapping, no barriers. Measured there, in GFLOP/s: 4 x 4 without swapping 2.0, 8 x 4 2.7, 8 x 8 with swapping 4.9,
 * 16 x 8 5.7, which compiles twice as long. The row of a GPU follows the usual practice (caches and workgroup memory that
 * serve neighbouring threads, many threads) and has not been measured on one.
 */
const TILES: Record<'cpu' | 'gpu', Tiles> = {
  cpu: {
    products: {
      kind: 'registers',
      small: { rowPairs: 2, columnPairs: 2 },
      large: { rowPairs: 4, columnPairs: 4 },
      few: 16,
      narrow: 8,
    },
    norm: { lanes: 1, threads: 4 },
  },
  gpu: {
    products: { kind: 'workgroup', few: [1, 4, 16], lanes: 16, threads: 64 },
    norm: { lanes: 32, threads: 64 },
  },
};

/** The row of the table for an adapter; where tiles in workgroup memory are switched off, the one without. */
export function tilesFor(gpu: Gpu): Tiles {
  return TILES[gpu.adapter.isFallback || gpu.off.has('tiles') ? 'cpu' : 'gpu'];
}

/** Threads that share a row, rows of their workgroup, and which way they add up: one of the counts is 1. */
export interface Sharing {
  lanes: number;
  rows: number;
  ways: { ALONE: number; SUBGROUP: number; BARRIER: number };
}

/** As many lanes as a subgroup surely holds add up by shuffles; without subgroups all of them through workgroup memory. */
export function sharing(gpu: Gpu, { lanes: most, threads }: { lanes: number; threads: number }): Sharing {
  const size = subgroupSize(gpu);
  const subgroup = most > 1 && size >= 4;
  const lanes = subgroup ? Math.min(most, size) : most;
  const ways = { ALONE: +(most === 1), SUBGROUP: +subgroup, BARRIER: +(most > 1 && !subgroup) };
  return { lanes, rows: threads / lanes, ways };
}
