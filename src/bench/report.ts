import type { AdapterSummary } from '../gpu/device';
import type { Ceilings } from './ceilings';

/** One kernel at one shape. Ratios are times: above 1, ours is faster; null where there is nothing to compare with. */
export interface BenchCase {
  /** `decode`, `prefill`, `backward`, `linear`, ... */
  kernel: string;
  /** In words: "P=700 G=8 R=128 Hq=16 Hkv=2 D=128". */
  shape: string;
  /** Element type that the kernel reads and writes. */
  dtype: string;
  /** Of one run, the median. */
  ms: number;
  /** 10^9 operations a second that the arithmetic needs (a multiply-add is two). */
  gflops: number;
  /** 10^9 bytes a second, of what has to be read and written once. */
  gbps: number;
  /** `gflops` by the lower of copy bandwidth times intensity and the multiply-add rate. */
  roofline_share: number;
  /** Against ONNX Runtime's operator. */
  vs_runtime: number | null;
  /** Against the same kernel with the prefix copied to every child. */
  vs_copied_prefix: number | null;
  /** Against plain attention in three kernels, its scores in memory. */
  vs_unfused: number | null;
  /** Whether the runtime's operator gave the right values. */
  runtime_values_ok: boolean | null;
}

/** A linear layer: x `[rows, k]`, W `[n, k]`. */
export interface LinearCase extends BenchCase {
  rows: number;
  k: number;
  n: number;
  /** Element type of the weight. */
  weights: string;
  /** `forward`: x W^T. `input-gradient`: dy W. */
  pass: 'forward' | 'input-gradient';
}

/** What was asked of the kernels, and what was found. */
export interface Target {
  /** A sentence without a full stop. */
  name: string;
  /** How many of the cases that it concerns meet it. */
  met: number;
  of: number;
  /** The worst value found, and what it may be. */
  worst: number;
  limit: number;
  /** Shape of the worst. */
  shape: string;
  ok: boolean;
}

/** The device that everything was measured on, with its ceilings. */
export interface BenchDevice extends AdapterSummary, Ceilings {
  f16: boolean;
  subgroups: boolean;
  /** What timed the kernels: timestamps of the GPU, or the CPU's clock. */
  clock: 'gpu' | 'wall';
}

/** What a benchmark's last line says. */
export interface BenchReport<C extends BenchCase = BenchCase> {
  device: BenchDevice;
  cases: C[];
  targets: Target[];
}

/** Work of one run. */
export interface Work {
  /** A multiply-add is two. */
  operations: number;
  /** Bytes that have to be read and written at least once. */
  bytes: number;
}

/** Rates of a run and its share of the roofline (Williams et al., 2009). */
export function rates(
  { operations, bytes }: Work,
  ms: number,
  ceilings: Ceilings,
): Pick<BenchCase, 'gflops' | 'gbps' | 'roofline_share'> {
  const roofline_share = leastMs({ operations, bytes }, ceilings) / ms;
  return { gflops: operations / 1e6 / ms, gbps: bytes / 1e6 / ms, roofline_share };
}

/** Milliseconds below which no run of a work can be: the roofline's own time. */
export function leastMs({ operations, bytes }: Work, { copy_gbps, f32_gflops }: Ceilings): number {
  return Math.max(bytes / copy_gbps, operations / f32_gflops) / 1e6;
}

/**
 * Sums up a target over cases.
 * @param worse 'above': values above the limit miss it; 'below': those below.
 */
export function judge(
  name: string,
  limit: number,
  worse: 'above' | 'below',
  found: readonly { shape: string; value: number }[],
): Target {
  const sign = worse === 'above' ? 1 : -1;
  const misses = found.filter(({ value }) => !(sign * value <= sign * limit));
  const worst = found.reduce<(typeof found)[number] | undefined>(
    (a, b) => (a && sign * a.value >= sign * b.value ? a : b),
    undefined,
  );
  return {
    name,
    met: found.length - misses.length,
    of: found.length,
    worst: worst?.value ?? 0,
    limit,
    shape: worst?.shape ?? '',
    ok: misses.length === 0,
  };
}
