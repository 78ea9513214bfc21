import type { InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
import type { Gpu } from '../../gpu/device';
import type { GpuTensor } from '../../gpu/tensor';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../block-graph';
import type { GraphModel } from '../graph';
import { loadOrt, type Ort } from './load-ort';
import { encodeModel } from './onnx-proto';

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

  /**
   * Makes a session of a graph. Its pipelines compile with its first run.
   * @throws Error where the runtime cannot be fetched or started, and where the graph is not valid or has an operator
   * that could not run on the GPU: nothing falls back to the CPU.
   */
  async compile(graph: GraphModel): Promise<BlockGraph> {
    const ort = await loadOrt();
    const session = await enqueue(async () => {
      try {
        return await ort.InferenceSession.create(encodeModel(graph), {
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
        throw new Error(`ONNX Runtime refused the graph ${graph.name}: ${message(cause)}`);
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
        throw new Error(`ONNX Runtime could not run the graph ${this.name}: ${message(cause)}`);
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
  }
  const extra = Object.keys(given).find((name) => !(name in out));
  if (extra) throw new Error(`${extra} is not an input or output of ${graph}`);
  return out;
}

function ortTensor(ort: Ort, tensor: GpuTensor): Tensor {
  let wrapper = wrappers.get(tensor);
  if (!wrapper) {
    wrapper = ort.Tensor.fromGpuBuffer(tensor.buffer, {
      dataType: ORT_TYPE[tensor.dtype],
      dims: tensor.shape,
    }) as Tensor;
    wrappers.set(tensor, wrapper);
  }
  return wrapper;
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
