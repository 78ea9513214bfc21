import type { KernelKind } from '../gpu/device';

/** One kernel on a small fixed input, against its float64 reference. */
export interface SelfTestCheck {
  /** In words: "linear layers f32". */
  name: string;
  /** Which kernels ran: "tiles, subgroups". */
  variant: string;
  /** Largest error, relative to the largest value of the reference; 0: exact. */
  max_error: number;
  tolerance: number;
  ok: boolean;
}

/** What a start-up's self-test found. */
export interface SelfTestReport {
  /** With the kernels that are in use. */
  checks: SelfTestCheck[];
  /** Kinds that gave wrong values and are switched off, with the check that failed. */
  off: { kind: KernelKind; check: SelfTestCheck }[];
  /** Milliseconds beyond compiling. */
  ms: number;
  /** True where it was done at an earlier visit, with the same kernels on the same adapter. */
  remembered: boolean;
}
