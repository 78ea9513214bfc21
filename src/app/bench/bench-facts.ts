import type { BenchCase, BenchDevice, LinearCase } from '../../worker/bench-protocol';

/** A measured case as the table and the chart show it. */
export interface CaseFacts {
  key: string;
  group: string;
  name: string;
  kind: CaseKind;
  /** Of the two ceilings. */
  bandwidthShare: number;
  arithmeticShare: number;
  bound: 'memory' | 'arithmetic';
  /** Operations a byte. */
  intensity: number;
  found: BenchCase | LinearCase;
}

/** What the marks of the chart stand for. */
export type CaseKind = 'attention' | 'linear' | 'gradient';

export const KIND_LABELS: Record<CaseKind, string> = {
  attention: 'attention',
  linear: 'linear layers',
  gradient: 'gradients',
};

const WEIGHTS: Record<string, string> = { f32: 'f32', f16: 'f16', q8: '8-bit', q4: '4-bit' };

const NAMES: Record<string, string> = {
  decode: 'attention, decoding',
  prefill: 'attention',
  backward: 'attention, backward',
};

/** Cases with what the table says of them, in the order in which they were measured. */
export function caseFacts(
  cases: readonly (BenchCase | LinearCase)[],
  device: Pick<BenchDevice, 'copy_gbps' | 'f32_gflops'>,
): CaseFacts[] {
  return cases.map((found) => {
    const bandwidthShare = found.gbps / device.copy_gbps;
    const arithmeticShare = found.gflops / device.f32_gflops;
    const linear = 'pass' in found ? found : undefined;
    const gradient = linear ? linear.pass === 'input-gradient' : found.kernel === 'backward';
    return {
      key: [found.kernel, found.shape, found.dtype, linear?.weights, linear?.pass].join(' '),
      group: groupOf(found, linear),
      name: linear
        ? gradient
          ? 'gradient of the input'
          : 'linear layer'
        : (NAMES[found.kernel] ?? found.kernel),
      kind: gradient ? 'gradient' : linear ? 'linear' : 'attention',
      bandwidthShare,
      arithmeticShare,
      bound: bandwidthShare > arithmeticShare ? 'memory' : 'arithmetic',
      intensity: found.gflops / found.gbps,
      found,
    };
  });
}

function groupOf(found: BenchCase, linear: LinearCase | undefined): string {
  if (linear) return `Linear layers, ${WEIGHTS[linear.weights] ?? linear.weights} weights (rows × in × out)`;
  if (found.kernel === 'decode') return 'Attention: one new token for each of G answers';
  if (found.kernel === 'backward') return 'Attention: gradients';
  return 'Attention: prompts, answers under a prefix, frames';
}

/** Sizes as they are set on the page: "8 × 2048" where names and files have "8 x 2048". */
export function formatSizes(text: string): string {
  return text.replaceAll(' x ', ' × ');
}

/** "48.3 µs", "2.82 ms", "1.4 s". */
export function formatTime(ms: number): string {
  if (ms < 1) return `${(1000 * ms).toPrecision(3)} µs`;
  return ms < 1000 ? `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** A rate in the unit that suits it: "7.7 GB/s", "2.81 TFLOP/s", "640 MB/s". */
export function formatRate(giga: number, what: 'B' | 'FLOP'): string {
  const { value, unit } = splitRate(giga, what);
  return `${value} ${unit}`;
}

/** As `formatRate`, number and unit apart. */
export function splitRate(giga: number, what: 'B' | 'FLOP'): { value: string; unit: string } {
  const [scaled, prefix] = giga >= 1000 ? [giga / 1000, 'T'] : giga < 0.1 ? [giga * 1000, 'M'] : [giga, 'G'];
  const value = scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(scaled >= 10 ? 3 : 2);
  return { value, unit: `${prefix}${what}/s` };
}

/** "2.4 x", or a dash where there is nothing to compare with. */
export function formatRatio(value: number | null): string {
  return value === null ? '–' : `${value >= 10 ? value.toFixed(0) : value.toFixed(2)} ×`;
}

/** An error of a self-test: "exact", or in powers of ten. */
export function formatError(error: number): string {
  return error === 0 ? 'exact' : Number.isFinite(error) ? error.toExponential(0) : 'not a number';
}
