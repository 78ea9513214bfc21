import type { Kernel } from './kernel';

/** A dispatch as it was recorded. */
export interface RecordedDispatch {
  kernel: Kernel;
  /** Contents of the uniform block, up to 256 bytes. */
  block: Uint8Array<ArrayBuffer>;
  /** Of the storage bindings, from 1 on. */
  resources: readonly GPUBindingResource[];
  grid: Grid;
  /** By which `Recording.set` changes block and grid; undefined where they stay. */
  slot: number | undefined;
}

type Grid = readonly [number, number, number];

/** What one dispatch takes to be issued again. */
interface Issue {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  /** Dispatches of a slot share it. */
  shared: { grid: Grid };
}

const BLOCK_BYTES = 256;

/**
 * Dispatches that are issued again and again, as a model's decode step is: their bind groups and uniform blocks are made
 * once, so that a replay costs three calls a dispatch. (Made anew they cost several times as much as the rest of a step.)
 * The buffers that they bind belong to others, who destroy the recording before them.
 */
export class Recording {
  private readonly issues: Issue[];
  private readonly arena: GPUBuffer;
  /** Blocks of the slots, which lie at the arena's beginning. */
  private readonly live: Uint8Array<ArrayBuffer>;
  private readonly grids: { grid: Grid }[] = [];
  private changed = false;

  constructor(
    private readonly device: GPUDevice,
    label: string,
    dispatches: readonly RecordedDispatch[],
  ) {
    const slots = dispatches.reduce((count, { slot = -1 }) => Math.max(count, slot + 1), 0);
    // Equal blocks are stored once: the layers of a model differ in their buffers alone.
    const places = new Map<string, number>();
    const blocks: { at: number; block: Uint8Array<ArrayBuffer> }[] = [];
    const placed = dispatches.map(({ slot, block }) => {
      if (block.byteLength > BLOCK_BYTES)
        throw new Error(`A uniform block has ${block.byteLength} bytes; it may have ${BLOCK_BYTES}.`);
      const key = slot === undefined ? block.join() : `slot ${slot}`;
      let place = places.get(key);
      if (place === undefined) {
        place = slot ?? slots + places.size;
        places.set(key, place);
        blocks.push({ at: place, block });
      }
      return place;
    });
    const count = 1 + Math.max(slots, ...placed);
    const bytes = new Uint8Array(count * BLOCK_BYTES);
    for (const { at, block } of blocks) bytes.set(block, at * BLOCK_BYTES);
    this.arena = device.createBuffer({
      label: `${label} uniforms`,
      size: bytes.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(this.arena, 0, bytes);
    this.live = bytes.slice(0, slots * BLOCK_BYTES);
    this.issues = dispatches.map(({ kernel, block, resources, grid, slot }, i) => {
      const size = Math.max(16, Math.ceil(block.byteLength / 16) * 16);
      const uniforms = { buffer: this.arena, offset: placed[i]! * BLOCK_BYTES, size };
      const entries = [uniforms, ...resources].map((resource, binding) => ({ binding, resource }));
      const group = device.createBindGroup({ label: kernel.name, layout: kernel.layout, entries });
      const shared = slot === undefined ? { grid } : (this.grids[slot] ?? { grid });
      if (slot !== undefined) this.grids[slot] = shared;
      return { pipeline: kernel.pipeline, group, shared };
    });
  }

  /** Dispatches of one replay. */
  get length(): number {
    return this.issues.length;
  }

  /** Gives the dispatches of a slot another uniform block, of the same size, and another grid. */
  set(slot: number, params: ArrayBuffer, grid: readonly [number, number?, number?]): void {
    this.grids[slot]!.grid = [grid[0], grid[1] ?? 1, grid[2] ?? 1];
    const block = new Uint8Array(params);
    for (let i = 0, at = slot * BLOCK_BYTES; i < block.length; i++, at++) {
      if (this.live[at] === block[i]) continue;
      this.live[at] = block[i]!;
      this.changed = true;
    }
  }

  /** Adds all dispatches to a pass; to be submitted before the next `set`. */
  encode(pass: GPUComputePassEncoder): void {
    if (this.changed) this.device.queue.writeBuffer(this.arena, 0, this.live);
    this.changed = false;
    let last: GPUComputePipeline | undefined;
    for (const { pipeline, group, shared } of this.issues) {
      if (pipeline !== last) pass.setPipeline(pipeline);
      last = pipeline;
      pass.setBindGroup(0, group);
      const { grid } = shared;
      pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
    }
  }

  /** Frees the uniform blocks; submitted work is not disturbed. */
  destroy(): void {
    this.arena.destroy();
  }
}
