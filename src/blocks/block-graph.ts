import type { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import type { GraphModel } from './graph';

/** Rows up to which a step of captured runs is recorded: what recording takes pays where the same step comes many times. */
export const RECORDED_ROWS = 64;

/** Tensors of a run by the names that the graph gives its inputs or outputs. */
export type NamedTensors = Readonly<Record<string, GpuTensor>>;

/** Adds one run of a graph to a recorder that captures it; values inside the graph go where `scratch` says. */
export type GraphCapture = (
  recorder: Recorder,
  scratch: Scratch,
  inputs: NamedTensors,
  outputs: NamedTensors,
) => void;

/** Gives buffers for values inside graphs. */
export interface Scratch {
  /**
   * At least as many buffers as asked for, the i-th of at least `bytes[i]` (multiples of 4, the largest first). Whoever
   * asks next may get the same: contents hold for the run that asks.
   */
  slots(bytes: readonly number[]): readonly GPUBuffer[];
}

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
  /**
   * What captures a run over so many rows, to be issued again and again over the same buffers. Undefined where the run is
   * not made of our own dispatches alone, or it is not known yet.
   */
  capture?(rows: number): GraphCapture | undefined;
  /** Frees the compiled graph. Tensors stay with their owners. */
  destroy(): Promise<void>;
}

/** A dense backend: makes runnable graphs of written ones. */
export interface BlockRuntime {
  /** @throws Error naming the graph where the backend cannot run it. */
  compile(graph: GraphModel): Promise<BlockGraph>;
  /** Frees buffers that are kept from run to run: after work that is larger than what follows. */
  trim?(): void;
}
