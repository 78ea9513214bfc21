/**
 * The messages about kernels between the page and the engine's worker: the self-test, the choice of a dense backend, and
 * the benchmark. Beside those of protocol.ts on the same port; errors are `error` events of the scope `bench`.
 */
import type { BenchCase, BenchDevice, LinearCase, Target } from '../bench/report';
import type { BackendChoice } from '../blocks/backend-choices';
import type { KernelKind } from '../gpu/device';
import type { SelfTestCheck, SelfTestReport } from '../self-test/report';

export type {
  BackendChoice,
  BenchCase,
  BenchDevice,
  KernelKind,
  LinearCase,
  SelfTestCheck,
  SelfTestReport,
  Target,
};

/** Which shapes are measured: the published model's, or ones that a CPU adapter takes minutes for. */
export type BenchShapes = 'model' | 'small';

/** Page -> engine. */
export type BenchRequest =
  /** Tests the kernels of the model that is loaded afresh -> `self-test`. */
  | { type: 'self-test'; id: number }
  /** Measures all kernels on the device of the model that is loaded -> `bench-device`, `bench-case`s, `bench-done`. */
  | { type: 'bench'; id: number; shapes: BenchShapes }
  /** Ends the measuring before its next case -> `bench-done`. */
  | { type: 'stop-bench' };

/** Engine -> page. */
export type BenchEvent =
  /** At start-up, and when asked for. */
  | { type: 'self-test'; report: SelfTestReport }
  /** Which dense backend runs which shapes, and why. Posted whenever there is more to say. */
  | { type: 'backends'; choices: BackendChoice[] }
  /** The ceilings are measured. */
  | { type: 'bench-device'; id: number; device: BenchDevice }
  /** A case begins. */
  | { type: 'bench-progress'; id: number; label: string; done: number; total: number }
  | { type: 'bench-case'; id: number; result: BenchCase | LinearCase }
  /** All is measured, or it was stopped. */
  | { type: 'bench-done'; id: number; targets: Target[]; stopped: boolean };
