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
  resamplerMedia,
} from '../blocks/resampler-graphs';
import { withWeightTypes } from '../blocks/weight-types';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { createTensor, destroyTensor, type GpuTensor, uploadTensor, writeTensor } from '../gpu/tensor';
import { TensorPool } from '../gpu/tensor-pool';
import { rowsPerFrame, type TinyLlavaConfig } from './config';
import type { Tap } from './model-taps';
import { chunkSizes, cut, type GroupBatch, groupBatches } from './resampler-batches';
import { positionEncoding } from './resampler-position-encoding';
import { splitKv } from './split-kv';
import { CONNECTOR_PREFIX } from './tensor-names';

const ACTIVATIONS = ['x', 'media', 'latents', 'attention', 'residual', 'position_encoding'];

interface Step {
  graph: BlockGraph;
  weights: NamedTensors;
}

interface Steps {
  linear: Step;
  first: Step;
  /** Keys and values of the features, by layer. */
  media: readonly Step[];
  layers: readonly Step[];
}

/**
 * Most rows of features at a time. The widest arrays are `linear`'s result and its norm, 64 MiB each with the published
 * model, whose 64 frames have 46,592 rows: in one dispatch a slow GPU would take seconds for them.
 */
const FEATURE_ROWS = 8192;

/** Options of `Resampler.create`. */
export interface ResamplerOptions {
  /** Most rows of features at a time. Default 8,192. */
  feature_rows?: number;
}

/**
 * The group resampler: the features of a whole video are cut into consecutive groups, and in each the same latents
 * attend to the group's features and to themselves. The naive resampler is the same with one group, and with the
 * position table added to the features after `linear` (naiveresampler.py) instead of to the result.
 *
 * No group sees another, so a few are encoded at a time. Keys and values lie as `[features of those groups...,
 * latents of those groups...]`. A group's features are one full segment and its latents a full child of it, so a latent
 * sees both, as the original's concatenation has it. Where one group has more rows than are taken at a time, as the
 * naive resampler's has, its features come and give their keys and values in parts.
 */
export class Resampler {
  private readonly recorder: Recorder;
  private readonly pool: TensorPool;

  private constructor(
    private readonly gpu: Gpu,
    readonly config: TinyLlavaConfig,
    private readonly attention: Attention,
    private readonly latents: GpuTensor,
    /** `[rows, H]`; the naive resampler's for the usual number of frames, cut every `feature_rows` rows. */
    private readonly positions: readonly GpuTensor[],
    /** The halves of every layer's to_kv, which this object owns. */
    private readonly split: ReadonlyMap<string, GpuTensor>,
    private readonly steps: Steps,
    private readonly feature_rows: number,
  ) {
    this.recorder = new Recorder(gpu, 'resampler');
    this.pool = new TensorPool(gpu);
  }

  /** Compiles the graphs. `weights` must hold the connector's tensors (see `expectedTensors`). */
  static async create(
    gpu: Gpu,
    runtime: BlockRuntime,
    config: TinyLlavaConfig,
    weights: WeightSource,
    { feature_rows = FEATURE_ROWS }: ResamplerOptions = {},
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
      media: await compile(resamplerMedia(shape), CONNECTOR_PREFIX, layer(0)),
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
    const positions =
      shape.positions_on === 'media'
        ? cut(config.num_frames * rowsPerFrame(config), feature_rows)
        : [[0, connector.num_queries] as const];
    return new Resampler(
      gpu,
      config,
      attention,
      weights.get(`${CONNECTOR_PREFIX}latents`),
      positions.map(([first, rows]) => uploadPositions(gpu, first, rows, H)),
      split,
      {
        linear: step(graphs.linear, CONNECTOR_PREFIX, CONNECTOR_PREFIX),
        first: step(graphs.first, CONNECTOR_PREFIX, layer(0)),
        media: layers.map((_, i) => step(graphs.media, CONNECTOR_PREFIX, layer(i))),
        layers,
      },
      feature_rows,
    );
  }

  /**
   * x `[S, vision channels]` f32, the features of all frames in time order -> visual tokens `[num_queries, H]` f32.
   * The caller destroys the result. Any S of at least one row a group; groups need not be frames.
   * Taps: `connector.linear`, `connector.before_pe`, `connector.position_encoding`, `connector.output`; of the naive
   * resampler `connector.media` (after `linear` and positions), `connector.position_encoding`, `connector.output`.
   * All but the last come part by part.
   * @throws Error when x has another shape or fewer rows than there are groups; GpuMemoryError where the activations
   * find no room.
   */
  async forward(x: GpuTensor, tap?: Tap): Promise<GpuTensor> {
    const { connector, text_config, vision_config } = this.config;
    const { num_queries: N, group: groups } = connector;
    const H = text_config.hidden_size;
    const [rows = 0, channels] = x.shape;
    if (x.shape.length !== 2 || channels !== vision_config.hidden_size || rows < groups) {
      throw new Error(
        `The resampler takes features [rows, ${vision_config.hidden_size}] with at least ${groups} rows, ` +
          `not [${x.shape.join(', ')}].`,
      );
    }
    const output = createTensor(this.gpu, [N, H], 'f32', 'visual tokens');
    try {
      for (const batch of groupBatches(chunkSizes(rows, groups), this.feature_rows))
        await this.encode(x, batch, output, tap);
      await tap?.('connector.output', output);
      return output;
    } catch (cause) {
      this.recorder.discard();
      output.buffer.destroy();
      throw cause;
    } finally {
      this.pool.destroy();
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
    const { linear, first, media, layers } = this.steps;
    for (const graph of new Set([linear, first, ...media, ...layers].map((step) => step.graph)))
      await graph.destroy();
    for (const tensor of this.split.values()) destroyTensor(tensor);
    for (const { buffer } of this.positions) buffer.destroy();
    this.attention.destroy();
  }

  /** Writes the visual tokens of a batch's groups into their rows of `output`. */
  private async encode(
    x: GpuTensor,
    { group, row, sizes }: GroupBatch,
    output: GpuTensor,
    tap?: Tap,
  ): Promise<void> {
    const { connector, text_config } = this.config;
    const { num_latents } = connector;
    const H = text_config.hidden_size;
    const inner = connector.heads * connector.dim_head;
    const { first, media: mediaSteps, layers } = this.steps;
    const { recorder } = this;
    const naive = connector.connector_type === 'naiveresampler';
    const rows = sizes.reduce((sum, size) => sum + size, 0);
    const queries = sizes.length * num_latents;
    const parts = cut(rows, this.feature_rows);
    const take = (label: string, n: number, width: number) =>
      this.pool.take(`resampler ${label}`, [n, width]);
    const media = parts.map(([, count], i) => take(`media ${i}`, count, H));
    let latents = take('latents', queries, H);
    let spare = take('latents spare', queries, H);
    const q = take('q', queries, inner);
    const k = take('k', rows + queries, inner);
    const v = take('v', rows + queries, inner);
    const own = { k: take('k of latents', queries, inner), v: take('v of latents', queries, inner) };
    const attention = take('attention', queries, inner);
    const visual = take('visual tokens of groups', queries, H);
    const placed = naive
      ? undefined
      : { position_encoding: take('positions', queries, H), before_pe: take('before_pe', queries, H) };
    const plan = this.plan(sizes);
    try {
      await this.gpu.memory.check();
      for (let g = 0; g < sizes.length; g++)
        copyRows(recorder, this.latents, 0, latents, g * num_latents, num_latents);
      if (placed) {
        const [table] = this.positions;
        copyRows(recorder, table!, group * num_latents, placed.position_encoding, 0, queries);
      }
      recorder.submit();
      await this.project(x, row, media, naive, tap);
      await first.graph.run({ ...first.weights, latents }, { q, ...own });
      for (const [i, { graph, weights }] of layers.entries()) {
        await this.mediaKeys(mediaSteps[i]!, media, k, v);
        copyRows(recorder, own.k, 0, k, rows, queries);
        copyRows(recorder, own.v, 0, v, rows, queries);
        this.attention.record(recorder, plan, { q, k, v, o: attention });
        recorder.submit();
        const inputs = { ...weights, attention, residual: latents };
        if (i < layers.length - 1) {
          await graph.run(inputs, { latents: spare, q, ...own });
          [latents, spare] = [spare, latents];
        } else if (placed) {
          const { position_encoding, before_pe } = placed;
          await graph.run({ ...inputs, position_encoding }, { before_pe, output: visual });
        } else await graph.run(inputs, { output: visual });
      }
      copyRows(recorder, visual, 0, output, group * num_latents, queries);
      recorder.submit();
      if (placed) {
        await tap?.('connector.before_pe', placed.before_pe);
        await tap?.('connector.position_encoding', placed.position_encoding);
      }
    } finally {
      plan.destroy();
    }
  }

  /** `linear` of the features from a row on, and the naive resampler's positions: into the parts of `media`. */
  private async project(
    x: GpuTensor,
    row: number,
    media: readonly GpuTensor[],
    naive: boolean,
    tap?: Tap,
  ): Promise<void> {
    const { graph, weights } = this.steps.linear;
    let from = row;
    for (const [i, part] of media.entries()) {
      const [count] = part.shape as [number];
      const some = this.pool.take('resampler features', [count, x.shape[1]!]);
      const placed = naive ? { position_encoding: this.positionsOf(i, from, part.shape) } : undefined;
      await this.gpu.memory.check();
      copyRows(this.recorder, x, from, some, 0, count);
      this.recorder.submit();
      await graph.run({ ...weights, x: some, ...placed }, { media: part });
      await tap?.(naive ? 'connector.media' : 'connector.linear', part);
      if (placed) await tap?.('connector.position_encoding', placed.position_encoding);
      from += count;
    }
  }

  /** Positions of a part of the naive resampler's features: those that are kept, or made for this part. */
  private positionsOf(part: number, first: number, shape: readonly number[]): GpuTensor {
    const [rows, H] = shape as [number, number];
    const kept = this.positions[part];
    if (kept && kept.shape[0]! >= rows) return { ...kept, shape };
    const made = this.pool.take('resampler positions', shape);
    writeTensor(this.gpu, made, positionEncoding(rows, H, first));
    return made;
  }

  /** Keys and values of the features in a layer: the first rows of k and v. */
  private async mediaKeys(
    { graph, weights }: Step,
    media: readonly GpuTensor[],
    k: GpuTensor,
    v: GpuTensor,
  ): Promise<void> {
    let row = 0;
    for (const part of media) {
      const shape = [part.shape[0]!, k.shape[1]!];
      const some = {
        k: this.pool.take('resampler k of features', shape),
        v: this.pool.take('resampler v of features', shape),
      };
      if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
      await graph.run({ ...weights, media: part }, some);
      copyRows(this.recorder, some.k, 0, k, row, shape[0]!);
      copyRows(this.recorder, some.v, 0, v, row, shape[0]!);
      this.recorder.submit();
      row += shape[0]!;
    }
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

/** Copies rows between two f32 tensors of the same width. */
function copyRows(
  recorder: Recorder,
  from: GpuTensor,
  fromRow: number,
  to: GpuTensor,
  toRow: number,
  rows: number,
): void {
  const bytes = from.shape[1]! * 4;
  recorder.copy(from.buffer, fromRow * bytes, to.buffer, toRow * bytes, rows * bytes);
}

function uploadPositions(gpu: Gpu, first: number, rows: number, channels: number): GpuTensor {
  const table = positionEncoding(rows, channels, first);
  return uploadTensor(gpu, table, [rows, channels], 'f32', 'position encoding');
}
