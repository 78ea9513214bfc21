import type { Gpu } from '../gpu/device';
import type { BlockGraph, BlockRuntime, NamedTensors } from './block-graph';
import type { GraphModel } from './graph';
import { type OrtOptions, OrtRuntime } from './ort/ort-runtime';
import { WgslRuntime } from './wgsl/wgsl-runtime';

/** Which dense backend runs: one of the two, or the one that is faster for the adapter and the number of rows. */
export type BlockBackend = 'ort' | 'wgsl' | 'auto';

/** Rows up to which a call of the runtime costs more than the arithmetic. */
const FEW_ROWS = 16;

/** Rows of a warm-up run that reaches the backend of many rows. */
export const MANY_ROWS = 2 * FEW_ROWS;

/** Options of `BlockRuntimes.create`. */
export interface BlockRuntimesOptions extends OrtOptions {
  /** Default 'auto'. */
  backend?: BlockBackend;
}

/**
 * Both dense backends behind one `compile`. With 'auto', ONNX Runtime runs what has many rows (vision tower,
 * resampler, prefill) and our kernels run decode steps; on CPU adapters our kernels run all that they can, as the
 * runtime's barriers are slow there. What our kernels lack is always the runtime's.
 */
export class BlockRuntimes implements BlockRuntime {
  private readonly graphs = new Set<BlockGraph>();

  private constructor(
    private readonly backend: BlockBackend,
    private readonly fewRows: number,
    private readonly ort: OrtRuntime,
    private readonly wgsl: WgslRuntime | undefined,
  ) {}

  /** Compiles our kernels, unless 'ort' is forced; the runtime starts with the first graph. */
  static async create(gpu: Gpu, options: BlockRuntimesOptions = {}): Promise<BlockRuntimes> {
    const backend = options.backend ?? 'auto';
    const fewRows = backend === 'wgsl' || gpu.adapter.isFallback ? Number.POSITIVE_INFINITY : FEW_ROWS;
    const wgsl = backend === 'ort' ? undefined : WgslRuntime.create(gpu);
    return new BlockRuntimes(backend, fewRows, OrtRuntime.create(gpu, options), wgsl);
  }

  /**
   * Compiles a graph in the backends that may run it.
   * @throws Error naming the graph where ONNX Runtime alone may run it and refuses it.
   */
  async compile(graph: GraphModel): Promise<BlockGraph> {
    if (!this.wgsl || !WgslRuntime.supports(graph)) return this.keep(await this.ort.compile(graph));
    const own = await this.wgsl.compile(graph);
    if (this.fewRows === Number.POSITIVE_INFINITY || !this.ort.takes(graph)) return own;
    return this.keep(new ByRows(graph, this.fewRows, own, await this.ort.compile(graph)));
  }

  /** What `compile` gives, in a word for the page: 'ort', 'wgsl' or 'ort + wgsl'. */
  get label(): string {
    if (this.backend === 'ort') return 'ort';
    return this.fewRows === Number.POSITIVE_INFINITY ? 'wgsl' : 'ort + wgsl';
  }

  /** Frees the buffers of our kernels, and the graphs that those who compiled them have not destroyed. */
  async destroy(): Promise<void> {
    for (const graph of this.graphs) await graph.destroy();
    this.wgsl?.destroy();
  }

  private keep(graph: BlockGraph): BlockGraph {
    this.graphs.add(graph);
    return graph;
  }
}

/** A graph in both backends; the number of rows of a run decides. */
class ByRows implements BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  private readonly rowInputs: readonly string[];

  constructor(
    graph: GraphModel,
    private readonly fewRows: number,
    private readonly few: BlockGraph,
    private readonly many: BlockGraph,
  ) {
    this.name = graph.name;
    this.inputs = few.inputs;
    this.outputs = few.outputs;
    this.rowInputs = graph.inputs
      .filter((input) => typeof input.dims?.[0] === 'string')
      .map((input) => input.name);
  }

  run(inputs: NamedTensors, outputs: NamedTensors): Promise<void> {
    const rows = Math.max(...this.rowInputs.map((name) => inputs[name]?.shape[0] ?? 0));
    return (rows <= this.fewRows ? this.few : this.many).run(inputs, outputs);
  }

  async destroy(): Promise<void> {
    await this.few.destroy();
    await this.many.destroy();
  }
}
