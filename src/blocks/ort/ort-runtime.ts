import type { InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
import type { Gpu } from '../../gpu/device';
import { blockBytes, type GpuTensor, isQuantised } from '../../gpu/tensor';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../block-graph';
import type { GraphModel } from '../graph';
import { loadOrt, type Ort } from './load-ort';
import { encodeModel } from './onnx-proto';
import { OrtError } from './ort-error';
import { forOrt, scalesName } from './packed-weights';

/** Options of `OrtRuntime.create`. */
export interface OrtOptions {
  /** Checks of the runtime's WebGPU calls: on in tests, off elsewhere, as they double the cost of a run. */
  validation?: boolean;
}

// One wasm instance serves the page, and overlapping calls into it hang or fail: everything goes through this queue.
let tail: Promise<unknown> = Promise.resolve();

function enqueue<T>(job: () => Promise<T>): Promise<T> {
  const result = tail.then(job, job);
  tail = result.catch(() => undefined);
  return result;
}

/** ONNX Runtime Web on our GPU device: compiles graphs written by `GraphBuilder`. */
export class OrtRuntime implements BlockRuntime {
  private constructor(
    private readonly gpu: Gpu,
    private readonly options: OrtOptions,
  ) {}

  /** A runtime on this device. The runtime itself is loaded with the first `compile`. */
  static create(gpu: Gpu, options: OrtOptions = {}): OrtRuntime {
    return new OrtRuntime(gpu, options);
  }

  /** Whether the runtime can take a graph: what touches halves needs `shader-f16` there. */
  takes(graph: GraphModel): boolean {
    return this.gpu.f16 || ![...graph.inputs, ...graph.outputs].some(({ type }) => type === 'f16');
  }

  /**
   * Makes a session of a graph. Its pipelines compile with its first run.
   * @throws OrtError where the runtime cannot be fetched or started, and where the graph is not valid or has an operator
   * that could not run on the GPU: nothing falls back to the CPU.
   */
  async compile(graph: GraphModel): Promise<BlockGraph> {
    if (!this.takes(graph))
      throw new Error(
        `The graph ${graph.name} has values in f16, and ONNX Runtime needs shader-f16 for them, which this GPU lacks. ` +
          'Choose another precision, or our own kernels.',
      );
    const encoded = encodeModel(forOrt(graph));
    const ort = await loadOrt();
    const session = await enqueue(async () => {
      try {
        return await ort.InferenceSession.create(encoded, {
          executionProviders: [
            {
              name: 'webgpu',
              device: this.gpu.device,
              validationMode: this.options.validation ? 'basic' : 'disabled',
            },
          ],
          graphOptimizationLevel: 'basic',
          extra: { session: { disable_cpu_ep_fallback: '1' } },
        });
      } catch (cause) {
        throw new OrtError(`ONNX Runtime refused the graph ${graph.name}: ${message(cause)}`);
      }
    });
    return new OrtGraph(ort, graph, session);
  }
}

class OrtGraph implements BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  private released: Promise<void> | undefined;

  constructor(
    private readonly ort: Ort,
    graph: GraphModel,
    private readonly session: InferenceSession,
  ) {
    this.name = graph.name;
    this.inputs = graph.inputs.map((input) => input.name);
    this.outputs = graph.outputs.map((output) => output.name);
  }

  run(inputs: NamedTensors, outputs: NamedTensors): Promise<void> {
    return enqueue(async () => {
      try {
        await this.session.run(
          ortTensors(this.ort, this.name, this.inputs, inputs),
          ortTensors(this.ort, this.name, this.outputs, outputs),
        );
      } catch (cause) {
        throw new OrtError(`ONNX Runtime could not run the graph ${this.name}: ${message(cause)}`);
      }
    });
  }

  destroy(): Promise<void> {
    this.released ??= enqueue(() => this.session.release());
    return this.released;
  }
}

// A weight is bound once a layer and token: its wrapper is made once.
const wrappers = new WeakMap<GpuTensor, Tensor>();

const ORT_TYPE = { f32: 'float32', f16: 'float16', i32: 'int32', u32: 'uint32', u8: 'uint8' } as const;

function ortTensors(
  ort: Ort,
  graph: string,
  names: readonly string[],
  given: NamedTensors,
): Record<string, Tensor> {
  const out: Record<string, Tensor> = {};
  for (const name of names) {
    const tensor = given[name];
    if (!tensor) throw new Error(`no tensor was given for ${name}`);
    out[name] = ortTensor(ort, tensor);
    if (tensor.scales) out[scalesName(name)] = ortTensor(ort, tensor.scales);
  }
  const extra = Object.keys(given).find((name) => !(name in out));
  if (extra) throw new Error(`${extra} is not an input or output of ${graph}`);
  return out;
}

function ortTensor(ort: Ort, tensor: GpuTensor): Tensor {
  let wrapper = wrappers.get(tensor);
  if (!wrapper) {
    const { buffer, dtype, shape, scales } = tensor;
    // The codes of a quantised weight are bytes to the runtime: [N, blocks, bytes of a block].
    const type = isQuantised(dtype)
      ? { dataType: ORT_TYPE.u8, dims: [...scales!.shape, blockBytes(dtype)] }
      : { dataType: ORT_TYPE[dtype], dims: shape };
    wrapper = ort.Tensor.fromGpuBuffer(buffer, type) as Tensor;
    wrappers.set(tensor, wrapper);
  }
  return wrapper;
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
