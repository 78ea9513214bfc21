import type { Gpu } from '../gpu/device';
import type { QueryRun, SegmentTree } from './segment-tree';

/** Query rows of a tile at most. */
export const TILE_ROWS = 32;
const TILE_WORDS = 8;

/** What a plan must have room for. */
export interface PlanCapacity {
  /** Query runs at most. */
  max_runs: number;
  /** Query rows of all runs together at most. */
  max_rows: number;
  /** Ancestors of a segment at most; 0 where segments have no parents. Default 4. */
  max_depth?: number;
}

/**
 * The work list of one attention over a segment tree, as small GPU buffers made from tree and runs: which query
 * rows see which KV rows, and each query row's rotary position and KV slot. It serves all layers of a forward pass.
 *
 * `update` writes new contents into the same buffers, without allocating and without waiting for the GPU. The
 * write is ordered with submits: it takes effect for everything submitted after it, so submit what uses the old
 * contents before updating.
 */
export class AttentionPlan {
  /** Tiles, 8 u32 each: see shaders/attention/forward.wgsl. */
  readonly tiles: GPUBuffer;
  /** Ancestors' rows: (first KV row, rows) as 2 u32 each. */
  readonly ranges: GPUBuffer;
  /** (position, slot) of every query row, 2 u32 each, by q's row; all ones where a row is in no run. */
  readonly rows: GPUBuffer;
  /** Tiles in use. */
  tile_count = 0;
  /** Rows of q that the runs reach: the largest `row + count`. */
  row_count = 0;
  /** Smallest T of a KV storage that holds all rows named. */
  kv_rows = 0;
  /** The largest count of a run: 1 in a decode step. */
  longest_run = 0;
  /** The largest rotary position of a row. */
  max_position = 0;
  /** Query rows times the keys they see, for reckoning of operations. */
  visible_pairs = 0;

  private readonly gpu: Gpu;
  private readonly tileWords: Uint32Array<ArrayBuffer>;
  private readonly rangeWords: Uint32Array<ArrayBuffer>;
  private readonly rowWords: Uint32Array<ArrayBuffer>;

  /** Allocates a plan; call `update` before use. */
  constructor(gpu: Gpu, capacity: PlanCapacity) {
    const { max_runs, max_rows, max_depth = 4 } = capacity;
    this.gpu = gpu;
    // Every run may end in a tile that is not full.
    this.tileWords = new Uint32Array(TILE_WORDS * (max_runs + Math.floor(max_rows / TILE_ROWS)));
    this.rangeWords = new Uint32Array(2 * Math.max(1, max_runs * max_depth));
    this.rowWords = new Uint32Array(2 * max_rows);
    this.tiles = this.buffer('attention tiles', this.tileWords);
    this.ranges = this.buffer('attention ranges', this.rangeWords);
    this.rows = this.buffer('attention rows', this.rowWords);
  }

  /** A plan with just the room for these runs, filled in. */
  static create(gpu: Gpu, tree: SegmentTree, runs: readonly QueryRun[]): AttentionPlan {
    let depth = 0;
    let rows = 0;
    for (const run of runs) {
      rows = Math.max(rows, run.row + run.count);
      let n = 0;
      for (let up = tree.segments[run.segment]?.parent ?? -1; up !== -1; up = tree.segments[up]!.parent) n++;
      depth = Math.max(depth, n);
    }
    const plan = new AttentionPlan(gpu, { max_runs: runs.length, max_rows: rows, max_depth: depth });
    plan.update(tree, runs);
    return plan;
  }

  /**
   * Makes the plan say: these runs over this tree, as it is now (append the rows first).
   * Rows of q between runs are left out: attention does not write them.
   * @throws Error when the runs do not fit, or a row would see no key.
   */
  update(tree: SegmentTree, runs: readonly QueryRun[]): void {
    const { tileWords, rangeWords, rowWords } = this;
    let tile = 0;
    let range = 0;
    this.row_count = 0;
    this.kv_rows = 0;
    this.longest_run = 0;
    this.visible_pairs = 0;
    this.max_position = 0;
    // Rows between runs have no position: kernels pass them over.
    rowWords.fill(0xffffffff);
    for (const run of runs) {
      const segment = tree.segments[run.segment];
      if (!segment) throw new Error(`A query run names segment ${run.segment}, which does not exist.`);
      if (run.count < 1 || run.row < 0 || run.offset < 0 || 2 * (run.row + run.count) > rowWords.length) {
        throw new Error(
          `Query rows ${run.row}..${run.row + run.count - 1} do not fit a plan of ${rowWords.length / 2} rows.`,
        );
      }
      if (segment.length === 0 || (segment.causal && run.offset + run.count > segment.length)) {
        throw new Error(
          `Query rows at ${run.offset}..${run.offset + run.count - 1} of segment ${run.segment}, which has ` +
            `${segment.length} rows: append them to the tree first.`,
        );
      }
      const firstRange = range / 2;
      let ancestors = 0;
      let above = 0;
      for (let up = segment.parent; up !== -1; up = tree.segments[up]!.parent) {
        const node = tree.segments[up]!;
        if (node.length === 0) continue;
        if (range + 2 > rangeWords.length)
          throw new Error(`The plan has no room for so many ancestors: ${rangeWords.length / 2} ranges.`);
        rangeWords[range++] = node.start;
        rangeWords[range++] = node.length;
        this.kv_rows = Math.max(this.kv_rows, node.start + node.length);
        ancestors++;
        above += node.length;
      }
      this.kv_rows = Math.max(this.kv_rows, segment.start + segment.length);
      for (let at = 0; at < run.count; at += TILE_ROWS) {
        if ((tile + 1) * TILE_WORDS > tileWords.length)
          throw new Error(`The plan has room for ${tileWords.length / TILE_WORDS} tiles of query rows.`);
        const word = tile++ * TILE_WORDS;
        tileWords[word] = run.row + at;
        tileWords[word + 1] = Math.min(TILE_ROWS, run.count - at);
        tileWords[word + 2] = firstRange;
        tileWords[word + 3] = ancestors;
        tileWords[word + 4] = segment.start;
        tileWords[word + 5] = segment.length;
        tileWords[word + 6] = run.offset + at;
        tileWords[word + 7] = segment.causal ? 1 : 0;
      }
      for (let i = 0; i < run.count; i++) {
        rowWords[2 * (run.row + i)] = segment.position + run.offset + i;
        rowWords[2 * (run.row + i) + 1] = segment.start + run.offset + i;
        this.visible_pairs += above + (segment.causal ? run.offset + i + 1 : segment.length);
      }
      this.row_count = Math.max(this.row_count, run.row + run.count);
      this.max_position = Math.max(this.max_position, segment.position + run.offset + run.count - 1);
      this.longest_run = Math.max(this.longest_run, run.count);
    }
    this.tile_count = tile;
    const { queue } = this.gpu.device;
    if (tile > 0) queue.writeBuffer(this.tiles, 0, tileWords, 0, tile * TILE_WORDS);
    if (range > 0) queue.writeBuffer(this.ranges, 0, rangeWords, 0, range);
    if (this.row_count > 0) queue.writeBuffer(this.rows, 0, rowWords, 0, 2 * this.row_count);
  }

  /** Frees the buffers. */
  destroy(): void {
    this.tiles.destroy();
    this.ranges.destroy();
    this.rows.destroy();
  }

  private buffer(label: string, words: Uint32Array): GPUBuffer {
    const size = Math.max(32, words.byteLength);
    return this.gpu.device.createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
  }
}
