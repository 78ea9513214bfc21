import { Attention } from '../attention/attention';
import { AttentionPlan } from '../attention/plan';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../blocks/block-graph';
import { MANY_ROWS } from '../blocks/block-runtimes';
import { blockWeights, type WeightSource } from '../blocks/block-weights';
import type { GraphModel } from '../blocks/graph';
import {
  type ResamplerShape,
  resamplerBlock,
  resamplerFirst,
  resamplerLast,
  resamplerLinear,
} from '../blocks/resampler-graphs';
import { withWeightTypes } from '../blocks/weight-types';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { byteLength, createTensor, destroyTensor, type GpuTensor, uploadTensor } from '../gpu/tensor';
import { rowsPerFrame, type TinyLlavaConfig } from './config';
import type { Tap } from './model-taps';
import { positionEncoding } from './resampler-position-encoding';
import { CONNECTOR_PREFIX } from './tensor-names';

const ACTIVATIONS = ['x', 'media', 'latents', 'attention', 'residual', 'position_encoding'];

interface Step {
  graph: BlockGraph;
  weights: NamedTensors;
}

/**
 * Rows of each of `groups` consecutive chunks of a sequence: the first `rows % groups` have one more than the rest.
 * (groupresampler.py, split_tensor)
 */
export function chunkSizes(rows: number, groups: number): number[] {
  const least = Math.floor(rows / groups);
  return Array.from({ length: groups }, (_, i) => least + (i < rows % groups ? 1 : 0));
}

/**
 * The group resampler: the features of a whole video are cut into consecutive groups, and in each the same latents
 * attend to the group's features and to themselves. The naive resampler is the same with one group, and with the
 * position table added to the features after `linear` (naiveresampler.py) instead of to the result.
 *
 * Keys and values lie as `[features of all groups..., latents of all groups...]`. A group's features are one full
 * segment and its latents a full child of it, so a latent sees both, as the original's concatenation has it.
 */
export class Resampler {
  private readonly recorder: Recorder;

  private constructor(
    private readonly gpu: Gpu,
    readonly config: TinyLlavaConfig,
    private readonly attention: Attention,
    private readonly latents: GpuTensor,
    /** `[rows, H]`, with as many rows as were needed so far. */
    private position_encoding: GpuTensor,
    /** The halves of every layer's to_kv, which this object owns. */
    private readonly split: ReadonlyMap<string, GpuTensor>,
    private readonly linear: Step,
    private readonly first: Step,
    private readonly layers: Step[],
  ) {
    this.recorder = new Recorder(gpu, 'resampler');
  }

  /** Compiles the graphs. `weights` must hold the connector's tensors (see `expectedTensors`). */
  static async create(
    gpu: Gpu,
    runtime: BlockRuntime,
    config: TinyLlavaConfig,
    weights: WeightSource,
  ): Promise<Resampler> {
    const { connector, text_config, vision_config } = config;
    const H = text_config.hidden_size;
    const shape: ResamplerShape = {
      vision_hidden_size: vision_config.hidden_size,
      hidden_size: H,
      inner_size: connector.heads * connector.dim_head,
      intermediate_size: connector.ff_mult * H,
      layer_norm_eps: connector.layer_norm_eps,
      positions_on: connector.connector_type === 'naiveresampler' ? 'media' : 'output',
    };
    const attention = await Attention.create(gpu, {
      q_heads: connector.heads,
      kv_heads: connector.heads,
      head_dim: connector.dim_head,
    });
    const split = splitKv(gpu, shape, connector.num_resampler_layers, weights);
    const all: WeightSource = { get: (name) => split.get(name) ?? weights.get(name) };
    const layer = (i: number) => `${CONNECTOR_PREFIX}layers.${i}.`;
    // Weights of a kind have the same type in all layers.
    const compile = (graph: GraphModel, own: string, next: string) =>
      runtime.compile(withWeightTypes(graph, all, { own, next }));
    const graphs = {
      linear: await compile(resamplerLinear(shape), CONNECTOR_PREFIX, CONNECTOR_PREFIX),
      first: await compile(resamplerFirst(shape), CONNECTOR_PREFIX, layer(0)),
      middle: await compile(resamplerBlock(shape), layer(0), layer(0)),
      last: await compile(resamplerLast(shape), layer(0), CONNECTOR_PREFIX),
    };
    const step = (graph: BlockGraph, own: string, next: string): Step => ({
      graph,
      weights: blockWeights(graph, ACTIVATIONS, all, { own, next }),
    });
    const count = connector.num_resampler_layers;
    const layers = Array.from({ length: count }, (_, i) =>
      i === count - 1
        ? step(graphs.last, layer(i), CONNECTOR_PREFIX)
        : step(graphs.middle, layer(i), layer(i + 1)),
    );
    // The features of the usual number of frames: a longer video makes the table longer.
    const positions =
      shape.positions_on === 'media' ? config.num_frames * rowsPerFrame(config) : connector.num_queries;
    return new Resampler(
      gpu,
      config,
      attention,
      weights.get(`${CONNECTOR_PREFIX}latents`),
      uploadPositions(gpu, positions, H),
      split,
      step(graphs.linear, CONNECTOR_PREFIX, CONNECTOR_PREFIX),
      step(graphs.first, CONNECTOR_PREFIX, layer(0)),
      layers,
    );
  }

  /**
   * x `[S, vision channels]` f32, the features of all frames in time order -> visual tokens `[num_queries, H]` f32.
   * The caller destroys the result. Any S of at least one row a group; groups need not be frames.
   * Taps: `connector.linear`, `connector.before_pe`, `connector.position_encoding`, `connector.output`; of the naive
   * resampler `connector.media` (after `linear` and positions), `connector.position_encoding`, `connector.output`.
   * @throws Error when x has another shape or fewer rows than there are groups; GpuMemoryError where the activations
   * find no room.
   */
  async forward(x: GpuTensor, tap?: Tap): Promise<GpuTensor> {
    const { connector, text_config, vision_config } = this.config;
    const { num_queries: N, group: groups, num_latents } = connector;
    const H = text_config.hidden_size;
    const inner = connector.heads * connector.dim_head;
    const [rows = 0, channels] = x.shape;
    if (x.shape.length !== 2 || channels !== vision_config.hidden_size || rows < groups) {
      throw new Error(
        `The resampler takes features [rows, ${vision_config.hidden_size}] with at least ${groups} rows, ` +
          `not [${x.shape.join(', ')}].`,
      );
    }
    const make = (n: number, width: number, label: string) =>
      createTensor(this.gpu, [n, width], 'f32', `resampler ${label}`);
    const media = make(rows, H, 'media');
    let latents = make(N, H, 'latents');
    let spare = make(N, H, 'latents');
    const q = make(N, inner, 'q');
    const k = make(rows + N, inner, 'k');
    const v = make(rows + N, inner, 'v');
    const attention = make(N, inner, 'attention');
    const naive = connector.connector_type === 'naiveresampler';
    const positions = naive ? rows : N;
    const longer =
      positions > this.position_encoding.shape[0]! ? uploadPositions(this.gpu, positions, H) : undefined;
    const position_encoding = { ...(longer ?? this.position_encoding), shape: [positions, H] };
    const before_pe = naive ? undefined : make(N, H, 'before_pe');
    const output = make(N, H, 'visual tokens');
    const plan = this.plan(chunkSizes(rows, groups));
    try {
      await this.gpu.memory.check();
      if (longer) {
        this.position_encoding.buffer.destroy();
        this.position_encoding = longer;
      }
      const bytes = num_latents * H * 4;
      for (let g = 0; g < groups; g++)
        this.recorder.copy(this.latents.buffer, 0, latents.buffer, g * bytes, bytes);
      this.recorder.submit();
      const placed = naive ? { position_encoding } : {};
      await this.linear.graph.run({ ...this.linear.weights, x, ...placed }, { media });
      await tap?.(naive ? 'connector.media' : 'connector.linear', media);
      await this.first.graph.run({ ...this.first.weights, media, latents }, { q, k, v });
      for (const [i, { graph, weights }] of this.layers.entries()) {
        this.attention.record(this.recorder, plan, { q, k, v, o: attention });
        this.recorder.submit();
        const inputs = { ...weights, attention, residual: latents };
        if (i === this.layers.length - 1) {
          if (before_pe) await graph.run({ ...inputs, position_encoding }, { before_pe, output });
          else await graph.run(inputs, { output });
        } else {
          await graph.run({ ...inputs, media }, { latents: spare, q, k, v });
          [latents, spare] = [spare, latents];
        }
      }
      if (before_pe) await tap?.('connector.before_pe', before_pe);
      await tap?.('connector.position_encoding', position_encoding);
      await tap?.('connector.output', output);
      return output;
    } catch (cause) {
      this.recorder.discard();
      output.buffer.destroy();
      if (longer !== this.position_encoding) longer?.buffer.destroy();
      throw cause;
    } finally {
      for (const t of [media, latents, spare, q, k, v, attention, before_pe]) t?.buffer.destroy();
      plan.destroy();
    }
  }

  /** Compiles every pipeline by a run over few rows, but enough for the backend of many rows. */
  async warmUp(): Promise<void> {
    const rows = Math.max(this.config.connector.group, MANY_ROWS);
    const shape = [rows, this.config.vision_config.hidden_size];
    const x = createTensor(this.gpu, shape, 'f32', 'warm-up features');
    try {
      const output = await this.forward(x);
      await this.gpu.device.queue.onSubmittedWorkDone();
      output.buffer.destroy();
    } finally {
      x.buffer.destroy();
    }
  }

  /** Frees the graphs and the position table. Weights given to `create` stay with their owner. */
  async destroy(): Promise<void> {
    const steps = [this.linear, this.first, ...this.layers];
    for (const graph of new Set(steps.map((step) => step.graph))) await graph.destroy();
    for (const tensor of this.split.values()) destroyTensor(tensor);
    this.position_encoding.buffer.destroy();
    this.attention.destroy();
  }

  private plan(sizes: readonly number[]): AttentionPlan {
    const { num_latents } = this.config.connector;
    const tree = new SegmentTree();
    for (const size of sizes) {
      tree.append(tree.add({ parent: -1, capacity: size, causal: false }), size);
    }
    const runs: QueryRun[] = [];
    for (const parent of sizes.keys()) {
      const segment = tree.add({ parent, capacity: num_latents, causal: false });
      tree.append(segment, num_latents);
      runs.push({ row: parent * num_latents, count: num_latents, segment, offset: 0 });
    }
    return AttentionPlan.create(this.gpu, tree, runs);
  }
}

function uploadPositions(gpu: Gpu, rows: number, channels: number): GpuTensor {
  const table = positionEncoding(rows, channels);
  return uploadTensor(gpu, table, [rows, channels], 'f32', 'position encoding');
}

/** Copies the halves of every `to_kv.weight` `[2 * inner, H]` into `to_k.weight` and `to_v.weight`. */
function splitKv(gpu: Gpu, shape: ResamplerShape, layers: number, weights: WeightSource) {
  const split = new Map<string, GpuTensor>();
  const recorder = new Recorder(gpu, 'split to_kv');
  const { inner_size, hidden_size } = shape;
  for (let i = 0; i < layers; i++) {
    const prefix = `${CONNECTOR_PREFIX}layers.${i}.0.`;
    const both = weights.get(`${prefix}to_kv.weight`);
    for (const [half, name] of ['to_k.weight', 'to_v.weight'].entries()) {
      const tensor = createTensor(gpu, [inner_size, hidden_size], both.dtype, prefix + name);
      copyHalf(recorder, both, half, tensor);
      if (both.scales) copyHalf(recorder, both.scales, half, tensor.scales!);
      split.set(prefix + name, tensor);
    }
  }
  recorder.submit();
  return split;
}

/** Rows of a tensor's first or second half; quantised codes and halves lie row by row too. */
function copyHalf(recorder: Recorder, both: GpuTensor, half: number, out: GpuTensor): void {
  const bytes = byteLength(out.shape, out.dtype);
  recorder.copy(both.buffer, half * bytes, out.buffer, 0, bytes);
}
