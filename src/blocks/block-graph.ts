import type { GpuTensor } from '../gpu/tensor';
import type { GraphModel } from './graph';

/** Tensors of a run by the names that the graph gives its inputs or outputs. */
export type NamedTensors = Readonly<Record<string, GpuTensor>>;

/**
 * The dense arithmetic between two attentions, compiled. Weights are inputs like any other, so one graph serves all
 * layers. Outputs are written to the caller's buffers, which must not be buffers of inputs.
 */
export interface BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * Issues one run; its GPU work takes its place in submission order and is not awaited.
   * What is submitted before the call is seen by the run; what is submitted after the promise resolved sees its
   * outputs.
   */
  run(inputs: NamedTensors, outputs: NamedTensors): Promise<void>;
  /** Frees the compiled graph. Tensors stay with their owners. */
  destroy(): Promise<void>;
}

/** A dense backend: makes runnable graphs of written ones. */
export interface BlockRuntime {
  /** @throws Error naming the graph where the backend cannot run it. */
  compile(graph: GraphModel): Promise<BlockGraph>;
}
