import type { Gpu } from '../gpu/device';
import type { QueryRun, SegmentTree } from './segment-tree';

/** Keys of a tile at most. */
export const KEY_TILE_ROWS = 32;

/** Query rows that see keys of a segment: `count` rows of q from `row`, places `offset`.. of their own segment. */
export interface KeyRun {
  row: number;
  count: number;
  offset: number;
  /** True: the keys' own causal segment, where a row sees the keys up to its own place. False: all keys are seen. */
  causal: boolean;
}

/** Which query runs see the keys of a segment: its own, and those of its descendants; in the runs' order. */
export function runsThatSee(tree: SegmentTree, segment: number, runs: readonly QueryRun[]): KeyRun[] {
  const seen: KeyRun[] = [];
  for (const run of runs) {
    let up = run.segment;
    while (up !== -1 && up !== segment) up = tree.segments[up]!.parent;
    if (up === -1) continue;
    const causal = run.segment === segment && tree.segments[segment]!.causal;
    seen.push({ row: run.row, count: run.count, offset: run.offset, causal });
  }
  return seen;
}

/** Tiles of keys of one dispatch: they lie in one window of the KV storage. */
export interface KeyBatch {
  first_tile: number;
  tile_count: number;
  kv_start: number;
}

/** The work list of the kernel over keys, for one size of windows. */
export interface KeyWork {
  /** Tiles of two vec4<u32> each, then runs of one: see shaders/attention/backward-kv.wgsl. */
  words: Uint32Array<ArrayBuffer>;
  tile_count: number;
  batches: KeyBatch[];
}

/** Cuts the rows in use into tiles, none of which reaches over the end of a window. */
export function keyWork(
  tree: SegmentTree,
  runs: readonly QueryRun[],
  window_rows = Number.POSITIVE_INFINITY,
): KeyWork {
  const tiles: { window: number; words: number[] }[] = [];
  const runWords: number[] = [];
  for (const [id, segment] of tree.segments.entries()) {
    const first = runWords.length / 4;
    const seen = runsThatSee(tree, id, runs);
    for (const { row, count, offset, causal } of seen) runWords.push(row, count, offset, causal ? 1 : 0);
    for (let at = 0; at < segment.length; ) {
      const row = segment.start + at;
      const window = Math.floor(row / window_rows);
      const kv_start = window === 0 ? 0 : window * window_rows;
      const keys = Math.min(KEY_TILE_ROWS, segment.length - at, kv_start + window_rows - row);
      tiles.push({ window, words: [row - kv_start, keys, at, 0, first, seen.length, 0, 0] });
      at += keys;
    }
  }
  tiles.sort((a, b) => a.window - b.window);
  const batches: KeyBatch[] = [];
  for (const [i, { window }] of tiles.entries()) {
    const kv_start = window === 0 ? 0 : window * window_rows;
    const batch = batches.at(-1);
    if (batch?.kv_start === kv_start) batch.tile_count += 1;
    else batches.push({ first_tile: i, tile_count: 1, kv_start });
  }
  const words = Uint32Array.from([...tiles.flatMap((tile) => tile.words), ...runWords]);
  return { words, tile_count: tiles.length, batches };
}

/**
 * What the backward pass over keys and values works on: which query rows see which KV rows, seen from the keys.
 * The counterpart of `AttentionPlan`, made from the same tree and runs; it serves all layers of a pass.
 */
export class KeyPlan {
  private readonly lists = new Map<number | undefined, KeyWork & { buffer: GPUBuffer }>();

  private constructor(
    private readonly gpu: Gpu,
    private readonly tree: SegmentTree,
    private readonly runs: readonly QueryRun[],
    /** Smallest T of a KV storage that holds all rows. */
    readonly kv_rows: number,
  ) {}

  /**
   * Makes the plan of all rows in use of a tree, under these query runs; the tree must stay as it is. Rows that no run
   * sees get gradient 0.
   */
  static create(gpu: Gpu, tree: SegmentTree, runs: readonly QueryRun[]): KeyPlan {
    let kv_rows = 0;
    for (const { start, length } of tree.segments)
      if (length > 0) kv_rows = Math.max(kv_rows, start + length);
    return new KeyPlan(gpu, tree, runs, kv_rows);
  }

  /** The work list for windows of so many rows, made at its first use. */
  workFor(window_rows: number | undefined): KeyWork & { readonly buffer: GPUBuffer } {
    let list = this.lists.get(window_rows);
    if (!list) {
      const work = keyWork(this.tree, this.runs, window_rows);
      const buffer = this.gpu.device.createBuffer({
        label: 'attention keys',
        size: Math.max(32, work.words.byteLength),
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      });
      this.gpu.device.queue.writeBuffer(buffer, 0, work.words);
      list = { ...work, buffer };
      this.lists.set(window_rows, list);
    }
    return list;
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { buffer } of this.lists.values()) buffer.destroy();
    this.lists.clear();
  }
}
