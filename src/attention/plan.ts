import type { Gpu } from '../gpu/device';
import type { QueryRun, SegmentTree } from './segment-tree';
import { attentionWork, idealKvRows, type Work, type WorkLayout } from './work';

/** What a plan must have room for. */
export interface PlanCapacity {
  /** Query rows of all runs together at most. */
  max_rows: number;
}

/** A work list on the GPU. */
export interface UploadedWork extends Work {
  readonly buffer: GPUBuffer;
}

/**
 * One attention over a segment tree: which query rows see which KV rows, and each query row's rotary position and KV
 * slot. It serves all layers of a forward pass, and its backward pass; each kernel has its own work list made of it.
 *
 * `update` writes new contents into the same buffers, without waiting for the GPU, and allocates only where a work list
 * is longer than any before. The write is ordered with submits: it takes effect for everything submitted after it, so
 * submit what uses the old contents before updating.
 */
export class AttentionPlan {
  /** (position, slot) of every query row, 2 u32 each, by q's row; all ones where a row is in no run. */
  readonly rows: GPUBuffer;
  /** Rows of q that the runs reach: the largest `row + count`. */
  row_count = 0;
  /** Smallest T of a KV storage that holds all rows named. */
  kv_rows = 0;
  /** The largest rotary position of a row. */
  max_position = 0;
  /** Query rows times the keys they see, for reckoning of operations. */
  visible_pairs = 0;
  /** KV rows that a forward pass has to read at least: each segment once, however many rows see it. */
  ideal_kv_rows = 0;

  private readonly rowWords: Uint32Array<ArrayBuffer>;
  private readonly lists = new Map<string, { list: UploadedWork; fresh: boolean }>();
  private tree: SegmentTree | undefined;
  private runs: readonly QueryRun[] = [];

  /** Query rows that it has room for. */
  readonly max_rows: number;

  /** Allocates a plan; call `update` before use. */
  constructor(
    private readonly gpu: Gpu,
    { max_rows }: PlanCapacity,
  ) {
    this.max_rows = max_rows;
    this.rowWords = new Uint32Array(2 * max_rows);
    this.rows = this.buffer('attention rows', this.rowWords.byteLength);
  }

  /** A plan with just the room for these runs, filled in. */
  static create(gpu: Gpu, tree: SegmentTree, runs: readonly QueryRun[]): AttentionPlan {
    const plan = new AttentionPlan(gpu, {
      max_rows: runs.reduce((most, run) => Math.max(most, run.row + run.count), 0),
    });
    plan.update(tree, runs);
    return plan;
  }

  /**
   * Makes the plan say: these runs over this tree, as it is now (append the rows first). Record what uses the plan
   * before the tree changes. Rows of q between runs are left out: attention does not write them.
   * @throws Error when the runs do not fit, or a row would see no key.
   */
  update(tree: SegmentTree, runs: readonly QueryRun[]): void {
    const { rowWords } = this;
    this.row_count = 0;
    this.kv_rows = 0;
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
      let above = 0;
      for (let up = segment.parent; up !== -1; up = tree.segments[up]!.parent) {
        const node = tree.segments[up]!;
        if (node.length > 0) this.kv_rows = Math.max(this.kv_rows, node.start + node.length);
        above += node.length;
      }
      this.kv_rows = Math.max(this.kv_rows, segment.start + segment.length);
      for (let i = 0; i < run.count; i++) {
        rowWords[2 * (run.row + i)] = segment.position + run.offset + i;
        rowWords[2 * (run.row + i) + 1] = segment.start + run.offset + i;
        this.visible_pairs += above + (segment.causal ? run.offset + i + 1 : segment.length);
      }
      this.row_count = Math.max(this.row_count, run.row + run.count);
      this.max_position = Math.max(this.max_position, segment.position + run.offset + run.count - 1);
    }
    this.ideal_kv_rows = idealKvRows(tree, runs);
    this.tree = tree;
    this.runs = runs;
    for (const entry of this.lists.values()) entry.fresh = false;
    if (this.row_count > 0) this.gpu.device.queue.writeBuffer(this.rows, 0, rowWords, 0, 2 * this.row_count);
  }

  /** The work list of a kernel's layout, made at its first use since the last update. */
  workFor(layout: WorkLayout): UploadedWork {
    const key = JSON.stringify(layout);
    const known = this.lists.get(key);
    if (known?.fresh) return known.list;
    if (!this.tree) throw new Error('The plan is empty: call update first.');
    const work = attentionWork(this.tree, this.runs, layout);
    let buffer = known?.list.buffer;
    if (!buffer || buffer.size < work.words.byteLength) {
      buffer?.destroy();
      // A step's list grows with its sequences: room for twice as much spares it most allocations.
      buffer = this.buffer('attention work', 2 * work.words.byteLength);
    }
    if (work.words.length > 0) this.gpu.device.queue.writeBuffer(buffer, 0, work.words);
    const list = { ...work, buffer };
    this.lists.set(key, { list, fresh: true });
    return list;
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { list } of this.lists.values()) list.buffer.destroy();
    this.lists.clear();
    this.rows.destroy();
  }

  private buffer(label: string, bytes: number): GPUBuffer {
    return this.gpu.device.createBuffer({
      label,
      size: Math.max(32, bytes),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
  }
}
