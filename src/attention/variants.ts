import type { AdapterSummary } from '../gpu/device';
import type { AttentionShape } from './reference';
import type { WorkLayout } from './work';

/** Element types in storage; sums and scores are f32 always. */
export interface AttentionTypes {
  /** q, o and their gradients. */
  readonly rows: 'f32' | 'f16';
  /** k, v and their gradients. */
  readonly cache: 'f32' | 'f16';
}

/** All in f32. */
export const F32_TYPES: AttentionTypes = { rows: 'f32', cache: 'f32' };

/** forward.wgsl: everything in registers, no barriers. */
export interface ThreadVariant {
  readonly kind: 'threads';
  /** Virtual rows (row and query head of a KV head) a thread. */
  readonly R: number;
  /** Keys a thread takes at a time. */
  readonly B: number;
  /** How far the loop over the head is unrolled (a divisor of head_dim / 4). */
  readonly U: number;
  /** Threads of a workgroup. */
  readonly WG: number;
  /** Threads that a step should have at least: keys are cut until then. */
  readonly threads: number;
}

/** forward-tile.wgsl: tiles in workgroup memory. */
export interface TileVariant {
  readonly kind: 'tiles';
  /** Virtual rows of a tile, and of the tile for units of few. */
  readonly ROWS: number;
  readonly FEW: number;
  /** Threads that share the keys of a tile, and keys of each. */
  readonly LANES: number;
  readonly BK: number;
  /** Whether they share what they find by shuffles: LANES are of one subgroup then. */
  readonly subgroups: boolean;
  /** Workgroups that a step should have at least. */
  readonly groups: number;
}

export type AttentionVariant = ThreadVariant | TileVariant;

/** What an adapter allows a workgroup. */
export type AdapterKind = Pick<AdapterSummary, 'isFallback'> & {
  limits: Pick<
    AdapterSummary['limits'],
    'maxComputeWorkgroupStorageSize' | 'maxComputeInvocationsPerWorkgroup'
  >;
};

/**
 * Tiles by what they take of a workgroup's memory, the largest first: more rows read K and V less often, more keys a
 * thread make fewer barriers. 8 lanes keep the output of head size 128 within 64 registers.
 */
const TILES: readonly Pick<TileVariant, 'ROWS' | 'LANES' | 'BK'>[] = [
  { ROWS: 64, LANES: 8, BK: 4 },
  { ROWS: 64, LANES: 8, BK: 2 },
  { ROWS: 32, LANES: 8, BK: 2 },
  { ROWS: 16, LANES: 8, BK: 1 },
];

/**
 * Virtual rows that one unit of a decode step takes through its keys while the cache holds them: a tile after the other,
 * or by threads side by side.
 */
const SHARED_VIRTUAL_ROWS = 512;

/**
 * The one table of forward kernels, by shape, types, adapter and the threads that a subgroup surely has (1: no subgroup
 * operations); the best first, each next one a way out where the one before is wrong on an adapter. The last handles
 * everything.
 * - A GPU shares tiles through workgroup memory. In registers alone rows a thread are few, and loops are unrolled.
 * - A CPU adapter (SwiftShader) pays for barriers, for every load and for every load it compiles. So rows a thread are
 *   many, there are no barriers, and loops stay loops: unrolled, head size 32 took 4 times as long to compile and 72
 *   took 24 s, and ran no faster.
 */
export function variantsFor(
  shape: AttentionShape,
  adapter: AdapterKind,
  types: AttentionTypes = F32_TYPES,
  subgroup = 1,
): AttentionVariant[] {
  const { head_dim, q_heads, kv_heads } = shape;
  const group = q_heads / kv_heads;
  if (adapter.isFallback) {
    // Two rows of two heads: neighbours in a decode step, which share what they read of the prefix.
    const R = group === 1 ? (head_dim <= 32 ? 4 : 2) : group === 2 ? 4 : Math.min(4, group);
    return [{ kind: 'threads', R, B: 8, U: 1, WG: 16, threads: 32 }];
  }
  const registers: ThreadVariant = {
    kind: 'threads',
    R: head_dim <= 32 ? 2 : 1,
    B: 4,
    U: head_dim / 4,
    WG: 64,
    threads: 8192,
  };
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = adapter.limits;
  const tiles = (subgroups: boolean): TileVariant[] => {
    const sizes = TILES.map((tile) => ({
      ...tile,
      LANES: subgroups ? Math.min(tile.LANES, subgroup) : tile.LANES,
      subgroups,
    })).find(
      (tile) =>
        tileBytes(tile, head_dim, types) <= maxComputeWorkgroupStorageSize &&
        (tile.ROWS / 4) * tile.LANES <= maxComputeInvocationsPerWorkgroup,
    );
    return sizes ? [{ kind: 'tiles', ...sizes, FEW: Math.min(16, sizes.ROWS), groups: 256 }] : [];
  };
  return [...(subgroup >= 4 ? tiles(true) : []), ...tiles(false), registers];
}

/** Workgroup memory of forward-tile.wgsl. */
export function tileBytes(
  { ROWS, LANES, BK, subgroups }: Pick<TileVariant, 'ROWS' | 'LANES' | 'BK' | 'subgroups'>,
  head_dim: number,
  types: AttentionTypes,
): number {
  const keys = LANES * BK;
  const tile = keys * (head_dim / 4 + 1) * (types.cache === 'f16' ? 8 : 16);
  return subgroups ? tile : tile + keys * ROWS * 4 + ROWS * LANES * 4;
}

/** How many share the virtual rows of a unit of `rows` rows, where each takes `R` of them. */
export function partsOf(R: number, { q_heads, kv_heads }: AttentionShape, rows: number): number {
  return Math.ceil((rows * q_heads) / kv_heads / R);
}

/** How a variant's work is cut into units. */
export function layoutFor(variant: AttentionVariant, shape: AttentionShape): WorkLayout {
  const { kv_heads } = shape;
  const group = shape.q_heads / kv_heads;
  const shared_rows = Math.max(1, Math.floor(SHARED_VIRTUAL_ROWS / group));
  if (variant.kind === 'threads') {
    const rows = Math.max(1, Math.floor(variant.R / group));
    const units = Math.ceil(variant.threads / kv_heads / partsOf(variant.R, shape, rows));
    return { rows, shared_rows, units, min_keys: 32, few_rows: rows, side_by_side: rows };
  }
  return {
    rows: Math.max(1, Math.floor(variant.ROWS / group)),
    shared_rows,
    units: Math.ceil(variant.groups / kv_heads),
    min_keys: 128,
    few_rows: Math.floor(variant.FEW / group),
  };
}

/** backward-q.wgsl and backward-kv.wgsl: every thread for itself. */
export interface BackwardThreads {
  readonly kind: 'threads';
  /** dQ: virtual rows a thread, and keys it takes at a time. */
  readonly queryR: number;
  readonly queryB: number;
  /** Threads of a workgroup of dQ. */
  readonly WG: number;
  /** dK and dV: keys a thread (a divisor of the tile of 32), and virtual rows it takes at a time. */
  readonly keyR: number;
  readonly keyB: number;
}

/** backward-q-quad.wgsl and backward-kv-quad.wgsl: four threads that swap what they load. */
export interface BackwardQuads {
  readonly kind: 'quads';
  /** Virtual rows and keys that a quad takes at a time: 4 times as many. */
  readonly rowPairs: number;
  readonly keyPairs: number;
}

/** backward-q-tile.wgsl and backward-kv-tile.wgsl: tiles in workgroup memory. */
export interface BackwardTiles {
  readonly kind: 'tiles';
  /** Virtual rows (dQ), or keys (dK, dV), of a workgroup: a multiple of 4, and at least a key tile's rows. */
  readonly OWN: number;
  /** Threads that share them, and keys, or virtual rows, that each of these takes at a time. */
  readonly LANES: number;
  readonly PER: number;
  /** Vectors of the head that are in workgroup memory at a time. */
  readonly CHUNK: number;
}

export type BackwardVariant = BackwardThreads | BackwardQuads | BackwardTiles;

/** Workgroup memory of backward-kv-tile.wgsl; the other one takes less. */
export function backwardTileBytes({ OWN, LANES, PER, CHUNK }: BackwardTiles): number {
  const other = LANES * PER;
  return 2 * (OWN + other) * (CHUNK + 1) * 16 + 2 * other * OWN * 4;
}

/**
 * The table of the backward kernels, the best first; the last one handles everything. A thread keeps queryR (dQ) or 2 keyR
 * (dK, dV) heads' worth of registers, a quad's threads half as much for each pair, a tile's OWN * head_dim / 4 / LANES
 * vectors among the threads of a quad.
 * - A GPU shares tiles through workgroup memory; half as many lanes where a head is too short for them.
 * - A CPU adapter runs four threads in one register: see src/blocks/wgsl/tiles.ts for what is dear there. One with wider
 *   registers (lavapipe: 8) has each thread for itself: quads would leave lanes idle, and take twice as long to compile.
 * @param quads whether subgroups are four threads wide.
 */
export function backwardVariantsFor(
  { head_dim }: AttentionShape,
  { isFallback, limits }: AdapterKind,
  quads: boolean,
): BackwardVariant[] {
  if (isFallback) {
    const threads: BackwardThreads = { kind: 'threads', queryR: 2, queryB: 2, WG: 16, keyR: 2, keyB: 2 };
    return quads ? [{ kind: 'quads', rowPairs: 2, keyPairs: 2 }, threads] : [threads];
  }
  const threads: BackwardThreads = {
    kind: 'threads',
    queryR: head_dim <= 32 ? 2 : 1,
    queryB: 2,
    WG: 64,
    keyR: 1,
    keyB: 2,
  };
  const short = head_dim <= 32;
  const tiles: BackwardTiles = {
    kind: 'tiles',
    OWN: 32,
    LANES: short ? 8 : 16,
    PER: short ? 2 : 1,
    CHUNK: 4,
  };
  const fits =
    backwardTileBytes(tiles) <= limits.maxComputeWorkgroupStorageSize &&
    (tiles.OWN / 4) * tiles.LANES <= limits.maxComputeInvocationsPerWorkgroup;
  return fits ? [tiles, threads] : [threads];
}
