import { Attention } from '../attention/attention';
import { AttentionPlan } from '../attention/plan';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../blocks/block-graph';
import { MANY_ROWS } from '../blocks/block-runtimes';
import { blockWeights, type WeightSource } from '../blocks/block-weights';
import { CutPatches } from '../blocks/cut-patches';
import type { GraphModel } from '../blocks/graph';
import { patchLength, siglipBlock, siglipFirst } from '../blocks/siglip-graphs';
import { withWeightTypes } from '../blocks/weight-types';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, sizeOf } from '../gpu/tensor';
import { patchesPerFrame, rowsPerFrame, type TinyLlavaConfig } from './config';
import type { Tap } from './model-taps';
import { onceEach } from './once-each';
import { VISION_PREFIX } from './tensor-names';

/** Options of `VisionTower.create`. */
export interface VisionOptions {
  /** The MLP's inner activation is the largest tensor: frames are batched so that it stays below. Default 64 MiB. */
  batch_bytes?: number;
}

const FIRST_ACTIVATIONS = ['patches', 'positions'];
const BLOCK_ACTIVATIONS = ['attention', 'residual'];

/** A graph with the weights of one of its uses. */
interface VisionBlock {
  graph: BlockGraph;
  weights: NamedTensors;
}

/** Buffers of one batch of frames, `[frames * P, C]` each but for the patches. */
interface Workspace {
  /** `[frames * P, 3 * patch_size^2]`. */
  patches: GpuTensor;
  /** The position table, once a frame. */
  positions: GpuTensor;
  hidden: [GpuTensor, GpuTensor];
  q: GpuTensor;
  k: GpuTensor;
  v: GpuTensor;
  attention: GpuTensor;
  plan: AttentionPlan;
}

/**
 * SigLIP's vision tower up to the selected layer: no post_layernorm, no pooling head. All frames are independent;
 * each is one full segment of P patches.
 */
export class VisionTower {
  private readonly recorder: Recorder;

  private constructor(
    private readonly gpu: Gpu,
    private readonly runtime: BlockRuntime,
    private readonly config: TinyLlavaConfig,
    private readonly attention: Attention,
    private readonly cut: CutPatches,
    private readonly table: GpuTensor,
    private readonly first: VisionBlock,
    private readonly blocks: readonly VisionBlock[],
    private readonly batch_bytes: number,
  ) {
    this.recorder = new Recorder(gpu, 'vision');
  }

  /** Compiles the graphs. `weights` must hold the used tensors of the tower (see `expectedTensors`). */
  static async create(
    gpu: Gpu,
    runtime: BlockRuntime,
    config: TinyLlavaConfig,
    weights: WeightSource,
    options: VisionOptions = {},
  ): Promise<VisionTower> {
    const shape = config.vision_config;
    const layers = config.vision_layers_used;
    const layer = (i: number) => `${VISION_PREFIX}encoder.layers.${i}.`;
    // Weights of a kind have the same type in all layers.
    const compile = (graph: GraphModel, own: string, next: string) =>
      runtime.compile(withWeightTypes(graph, weights, { own, next }));
    const first = await compile(siglipFirst(shape, layers === 0), VISION_PREFIX, layer(0));
    const middle = layers > 1 ? await compile(siglipBlock(shape, false), layer(0), layer(1)) : undefined;
    const last = layers > 0 ? await compile(siglipBlock(shape, true), layer(layers - 1), '') : undefined;
    const blocks = Array.from({ length: layers }, (_, i) => {
      const graph = i === layers - 1 ? last! : middle!;
      return {
        graph,
        weights: blockWeights(graph, BLOCK_ACTIVATIONS, weights, { own: layer(i), next: layer(i + 1) }),
      };
    });
    const flat: WeightSource = {
      get: (name) => {
        const tensor = weights.get(name);
        const [channels, ...rest] = tensor.shape;
        return rest.length > 1 ? { ...tensor, shape: [channels!, sizeOf(rest)] } : tensor;
      },
    };
    const firstWeights = blockWeights(first, FIRST_ACTIVATIONS, flat, { own: VISION_PREFIX, next: layer(0) });
    const attention = await Attention.create(gpu, {
      q_heads: shape.num_attention_heads,
      kv_heads: shape.num_attention_heads,
      head_dim: shape.hidden_size / shape.num_attention_heads,
    });
    const cut = await CutPatches.create(gpu, shape.image_size, shape.patch_size);
    const table = weights.get(`${VISION_PREFIX}embeddings.position_embedding.weight`);
    return new VisionTower(
      gpu,
      runtime,
      config,
      attention,
      cut,
      table,
      { graph: first, weights: firstWeights },
      blocks,
      options.batch_bytes ?? 64 * 2 ** 20,
    );
  }

  /** Rows that `encode` gives for one frame: P, or P - 1 where the first patch is dropped. */
  get rowsPerFrame(): number {
    return rowsPerFrame(this.config);
  }

  /**
   * pixel_values `[T, 3, S, S]` f32, normalised as SigLIP's processor does -> features `[T * rowsPerFrame, C]` f32,
   * frame by frame, patches row by row, a batch of frames at a time. The caller destroys the result; of what the batches
   * took in our own kernels nothing is left.
   * Taps: `vision.hidden.0` (embeddings) .. `vision.hidden.n` (outputs of the layers), `[frames * P, C]` a batch.
   * @throws Error when the pixels have another shape; GpuMemoryError where the activations find no room.
   */
  encode(pixel_values: GpuTensor, tap?: Tap): Promise<GpuTensor> {
    return this.encodeWith(this.blocks, pixel_values, tap);
  }

  private async encodeWith(
    blocks: readonly VisionBlock[],
    pixel_values: GpuTensor,
    tap?: Tap,
  ): Promise<GpuTensor> {
    const { hidden_size: C, image_size: S } = this.config.vision_config;
    const [frames = 0, ...frame] = pixel_values.shape;
    if (frames < 1 || frame.join() !== [3, S, S].join()) {
      throw new Error(
        `The vision tower takes pixels [frames, 3, ${S}, ${S}], not [${pixel_values.shape.join(', ')}].`,
      );
    }
    // Only copied to and from, so that it may be larger than a binding.
    const out = createTensor(this.gpu, [frames * this.rowsPerFrame, C], 'f32', 'vision features', {
      ranged: true,
    });
    const batch = this.framesPerBatch(frames);
    try {
      for (let start = 0; start < frames; start += batch) {
        await this.encodeBatch(blocks, pixel_values, start, Math.min(batch, frames - start), out, tap);
      }
      return out;
    } catch (cause) {
      this.recorder.discard();
      out.buffer.destroy();
      throw cause;
    } finally {
      // An answer's own activations are far smaller.
      this.runtime.trim?.();
    }
  }

  /** Compiles every pipeline by a run of each graph over black frames: enough for the backend of many rows. */
  async warmUp(): Promise<void> {
    const { image_size: S } = this.config.vision_config;
    const frames = Math.ceil(MANY_ROWS / patchesPerFrame(this.config.vision_config));
    const pixels = createTensor(this.gpu, [frames, 3, S, S], 'f32', 'warm-up pixels');
    try {
      const features = await this.encodeWith(onceEach(this.blocks), pixels);
      await this.gpu.device.queue.onSubmittedWorkDone();
      features.buffer.destroy();
    } finally {
      pixels.buffer.destroy();
    }
  }

  /** Frees graphs and buffers. Weights stay with their owner. */
  async destroy(): Promise<void> {
    const graphs = new Set([this.first.graph, ...this.blocks.map((block) => block.graph)]);
    for (const graph of graphs) await graph.destroy();
    this.attention.destroy();
  }

  private framesPerBatch(frames: number): number {
    const { intermediate_size } = this.config.vision_config;
    const bytes = patchesPerFrame(this.config.vision_config) * intermediate_size * 4;
    const batches = Math.ceil(frames / Math.max(1, Math.floor(this.batch_bytes / bytes)));
    return Math.ceil(frames / batches);
  }

  private async encodeBatch(
    blocks: readonly VisionBlock[],
    pixel_values: GpuTensor,
    start: number,
    frames: number,
    out: GpuTensor,
    tap?: Tap,
  ): Promise<void> {
    const work = this.workspace(frames);
    try {
      await this.gpu.memory.check();
      const { q, k, v, attention, plan } = work;
      let [hidden, spare] = work.hidden;
      const outputs = (to: GpuTensor, graph: BlockGraph): NamedTensors =>
        graph.outputs.includes('q') ? { hidden: to, q, k, v } : { hidden: to };
      const { graph, weights } = this.first;
      const { patches, positions } = work;
      this.cut.record(this.recorder, pixel_values, start, patches);
      const tableBytes = sizeOf(this.table.shape) * 4;
      for (let frame = 0; frame < frames; frame++) {
        this.recorder.copy(this.table.buffer, 0, positions.buffer, frame * tableBytes, tableBytes);
      }
      this.recorder.submit();
      await graph.run({ ...weights, patches, positions }, outputs(hidden, graph));
      await tap?.('vision.hidden.0', hidden);
      for (const [i, block] of blocks.entries()) {
        this.attention.record(this.recorder, plan, { q, k, v, o: attention });
        this.recorder.submit();
        await block.graph.run({ ...block.weights, attention, residual: hidden }, outputs(spare, block.graph));
        [hidden, spare] = [spare, hidden];
        await tap?.(`vision.hidden.${i + 1}`, hidden);
      }
      this.select(hidden, start, frames, out);
    } finally {
      // Destroying a buffer lets work that was submitted before finish.
      const { patches, positions, hidden, q, k, v, attention, plan } = work;
      for (const t of [patches, positions, ...hidden, q, k, v, attention]) t.buffer.destroy();
      plan.destroy();
    }
  }

  private workspace(frames: number): Workspace {
    const { hidden_size: C } = this.config.vision_config;
    const P = patchesPerFrame(this.config.vision_config);
    const make = (label: string) => createTensor(this.gpu, [frames * P, C], 'f32', `vision ${label}`);
    const tree = new SegmentTree();
    const runs: QueryRun[] = [];
    for (let frame = 0; frame < frames; frame++) {
      const segment = tree.add({ parent: -1, capacity: P, causal: false });
      tree.append(segment, P);
      runs.push({ row: frame * P, count: P, segment, offset: 0 });
    }
    const K = patchLength(this.config.vision_config);
    return {
      patches: createTensor(this.gpu, [frames * P, K], 'f32', 'vision patches'),
      positions: make('positions'),
      hidden: [make('hidden'), make('hidden')],
      q: make('q'),
      k: make('k'),
      v: make('v'),
      attention: make('attention'),
      plan: AttentionPlan.create(this.gpu, tree, runs),
    };
  }

  private select(hidden: GpuTensor, start: number, frames: number, out: GpuTensor): void {
    const P = patchesPerFrame(this.config.vision_config);
    const row = this.config.vision_config.hidden_size * 4;
    const dropped = P - this.rowsPerFrame;
    for (let frame = 0; frame < frames; frame++) {
      const from = (frame * P + dropped) * row;
      const to = (start + frame) * this.rowsPerFrame * row;
      this.recorder.copy(hidden.buffer, from, out.buffer, to, this.rowsPerFrame * row);
    }
    this.recorder.submit();
  }
}
