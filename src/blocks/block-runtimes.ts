import type { Gpu } from '../gpu/device';
import { BackendChoices } from './backend-choices';
import type { BlockGraph, BlockRuntime, GraphCapture, NamedTensors } from './block-graph';
import type { Dim, GraphModel } from './graph';
import { OrtError } from './ort/ort-error';
import { type OrtOptions, OrtRuntime } from './ort/ort-runtime';
import { WgslRuntime } from './wgsl/wgsl-runtime';

/** Which dense backend runs: one of the two, or the one that is faster for the adapter and the number of rows. */
export type BlockBackend = 'ort' | 'wgsl' | 'auto';

/** Rows of a warm-up run that is no decode step. */
export const MANY_ROWS = 32;

/** Runs of each backend that are timed, in turns. */
const TIMED_RUNS = 3;

/** Options of `BlockRuntimes.create`. */
export interface BlockRuntimesOptions extends OrtOptions {
  /** Default 'auto'. */
  backend?: BlockBackend;
  /** What is known of this adapter, and where more is put. */
  choices?: BackendChoices;
}

const REASONS = {
  forced: 'Set in the address of the page.',
  lacking: 'Our kernels lack one of its operators.',
  failed: 'ONNX Runtime failed here, so our kernels run.',
  wrong: 'Our dense kernels gave wrong values in the self-test.',
  own: 'Only our kernels have all of its operators.',
  cpu: "A CPU adapter: the runtime's kernels wait at barriers there, and compile for a minute. Not measured.",
};

/**
 * Both dense backends behind one `compile`. With 'auto' a graph's first run at some number of rows measures both, and
 * the faster one runs from then on (`BackendChoices`). On CPU adapters our kernels run all that they can without a
 * measurement. What our kernels lack is always the runtime's.
 */
export class BlockRuntimes implements BlockRuntime {
  private readonly graphs = new Set<BlockGraph>();

  private constructor(
    private readonly gpu: Gpu,
    private readonly backend: BlockBackend,
    private readonly choices: BackendChoices,
    private readonly ort: OrtRuntime,
    private readonly wgsl: WgslRuntime | undefined,
  ) {}

  /** Compiles nothing yet: a graph's kernels come with it, and the runtime starts with the first graph that needs it. */
  static async create(gpu: Gpu, options: BlockRuntimesOptions = {}): Promise<BlockRuntimes> {
    const { backend = 'auto', choices = new BackendChoices() } = options;
    const wgsl = backend === 'ort' || gpu.off.has('dense') ? undefined : WgslRuntime.create(gpu);
    return new BlockRuntimes(gpu, backend, choices, OrtRuntime.create(gpu, options), wgsl);
  }

  /**
   * Compiles a graph in the backends that may run it.
   * @throws Error naming the graph where ONNX Runtime alone may run it and refuses it.
   */
  async compile(graph: GraphModel): Promise<BlockGraph> {
    const { backend, choices, gpu } = this;
    if (!this.wgsl || !WgslRuntime.supports(graph)) {
      const why = this.wgsl ? REASONS.lacking : backend === 'ort' ? REASONS.forced : REASONS.wrong;
      choices.note(graphLabel(graph), 'ort', why);
      return this.keep(await this.ort.compile(graph));
    }
    const own = await this.wgsl.compile(graph);
    const alone =
      backend === 'wgsl'
        ? REASONS.forced
        : gpu.adapter.isFallback
          ? REASONS.cpu
          : this.ort.takes(graph)
            ? undefined
            : REASONS.own;
    if (alone) {
      choices.note(graphLabel(graph), 'wgsl', alone);
      return own;
    }
    return this.keep(new MeasuredGraph(gpu, graph, choices, own, () => this.ort.compile(graph)));
  }

  /** What `compile` gives, in a word for the page: 'ort', 'wgsl' or 'ort + wgsl'. */
  get label(): string {
    if (!this.wgsl) return 'ort';
    return this.backend === 'wgsl' || this.gpu.adapter.isFallback ? 'wgsl' : 'ort + wgsl';
  }

  trim(): void {
    this.wgsl?.trim();
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

/**
 * A graph and the largest of its weights: "qwen2 block 2048 x 11008 q4", with "rows f16" where it takes or gives such.
 * Models of other widths have other labels.
 */
function graphLabel(graph: GraphModel): string {
  const size = (dims: readonly Dim[] = []) =>
    dims.length === 2 && dims.every((dim) => typeof dim === 'number')
      ? (dims as number[]).reduce((a, b) => a * b)
      : 0;
  const [first, ...rest] = graph.inputs;
  const largest = rest.reduce((a, b) => (size(b.dims) > size(a!.dims) ? b : a), first);
  const given = graph.inputs.filter(({ dims }) => dims?.some((dim) => typeof dim === 'string'));
  const rows = [...given, ...graph.outputs].some(({ type }) => type === 'f16') ? ' rows f16' : '';
  if (!largest || size(largest.dims) === 0) return graph.name + rows;
  const type = largest.type === 'f32' ? '' : ` ${largest.type}`;
  return `${graph.name} ${largest.dims!.join(' x ')}${type}${rows}`;
}

/**
 * A graph that may run in both backends; what was measured at a run's number of rows decides. Where the runtime cannot
 * be started or fails, our kernels run from then on, and the choice says why.
 */
class MeasuredGraph implements BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  private readonly label: string;
  private readonly rowInputs: readonly string[];
  private compiled: Promise<BlockGraph> | undefined;
  /** The runtime has failed, in this visit. */
  private alone = false;

  constructor(
    private readonly gpu: Gpu,
    graph: GraphModel,
    private readonly choices: BackendChoices,
    private readonly own: BlockGraph,
    private readonly compileOrt: () => Promise<BlockGraph>,
  ) {
    this.name = graph.name;
    this.label = graphLabel(graph);
    this.inputs = own.inputs;
    this.outputs = own.outputs;
    this.rowInputs = graph.inputs
      .filter((input) => typeof input.dims?.[0] === 'string')
      .map((input) => input.name);
  }

  async run(inputs: NamedTensors, outputs: NamedTensors): Promise<void> {
    const rows = Math.max(...this.rowInputs.map((name) => inputs[name]?.shape[0] ?? 0));
    try {
      if (!this.alone) {
        const choice = this.choices.find(this.label, rows) ?? (await this.measure(rows, inputs, outputs));
        if (choice.backend === 'ort') {
          await (await this.ort()).run(inputs, outputs);
          return;
        }
      }
    } catch (cause) {
      if (!(cause instanceof OrtError)) throw cause;
      this.alone = true;
      this.choices.note(this.label, 'wgsl', `${REASONS.failed} ${cause.message}`);
    }
    await this.own.run(inputs, outputs);
  }

  capture(rows: number): GraphCapture | undefined {
    const backend = this.choices.find(this.label, rows)?.backend;
    return this.alone || backend === 'wgsl' ? this.own.capture?.(rows) : undefined;
  }

  async destroy(): Promise<void> {
    await this.own.destroy();
    await this.compiled?.then(
      (graph) => graph.destroy(),
      () => undefined,
    );
  }

  /** The runtime's graph: compiled where a measurement or its result asks for it. */
  private ort(): Promise<BlockGraph> {
    this.compiled ??= this.compileOrt();
    return this.compiled;
  }

  /** Outputs are never inputs, so that a run can be repeated. Its time is that of the call and of the GPU. */
  private async measure(rows: number, inputs: NamedTensors, outputs: NamedTensors) {
    const { queue } = this.gpu.device;
    const ort = await this.ort();
    const timed = async (graph: BlockGraph): Promise<number> => {
      const begin = performance.now();
      await graph.run(inputs, outputs);
      await queue.onSubmittedWorkDone();
      return performance.now() - begin;
    };
    // The first runs compile, and wait for what was submitted before.
    await timed(ort);
    await timed(this.own);
    const best = { ort: Number.POSITIVE_INFINITY, wgsl: Number.POSITIVE_INFINITY };
    for (let i = 0; i < TIMED_RUNS; i++) {
      best.ort = Math.min(best.ort, await timed(ort));
      best.wgsl = Math.min(best.wgsl, await timed(this.own));
    }
    return this.choices.measure(this.label, rows, best.ort, best.wgsl);
  }
}
