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

/**
 * The work list of the backward pass over keys and values: which query rows see which KV rows, seen from the keys.
 * The counterpart of `AttentionPlan`, made from the same tree and runs; it serves all layers of a pass.
 */
export class KeyPlan {
  private constructor(
    /** Tiles of two vec4<u32> each, then runs of one: see shaders/attention/backward-kv.wgsl. */
    readonly work: GPUBuffer,
    readonly tile_count: number,
    /** Smallest T of a KV storage that holds all rows. */
    readonly kv_rows: number,
  ) {}

  /** Makes the plan of all rows in use of a tree, under these query runs. Rows that no run sees get gradient 0. */
  static create(gpu: Gpu, tree: SegmentTree, runs: readonly QueryRun[]): KeyPlan {
    const tiles: number[] = [];
    const runWords: number[] = [];
    let kv_rows = 0;
    for (const [id, segment] of tree.segments.entries()) {
      if (segment.length === 0) continue;
      const first = runWords.length / 4;
      const seen = runsThatSee(tree, id, runs);
      for (const { row, count, offset, causal } of seen) runWords.push(row, count, offset, causal ? 1 : 0);
      for (let at = 0; at < segment.length; at += KEY_TILE_ROWS) {
        const keys = Math.min(KEY_TILE_ROWS, segment.length - at);
        tiles.push(segment.start + at, keys, at, 0, first, seen.length, 0, 0);
      }
      kv_rows = Math.max(kv_rows, segment.start + segment.length);
    }
    const words = Uint32Array.from([...tiles, ...runWords]);
    const work = gpu.device.createBuffer({
      label: 'attention keys',
      size: Math.max(32, words.byteLength),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    gpu.device.queue.writeBuffer(work, 0, words);
    return new KeyPlan(work, tiles.length / 8, kv_rows);
  }

  /** Frees the buffer. */
  destroy(): void {
    this.work.destroy();
  }
}
