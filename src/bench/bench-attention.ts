import type { Gpu } from '../gpu/device';
import { type AttentionSpec, attentionSpecs, describeAttention } from './attention-specs';
import { type Ceilings, measureCeilings } from './ceilings';
import { kvMemoryByIdeal } from './kv-memory';
import { type AttentionResult, measureAttention } from './measure-attention';
import { type BenchCase, type BenchDevice, type BenchReport, judge, type Target } from './report';
import { Stopwatch, type Timing } from './stopwatch';

/** How a benchmark is run. */
export interface BenchOptions<C extends BenchCase = BenchCase> {
  /** The published model's shapes, or smaller ones. Default: by the kind of adapter. */
  shapes?: 'model' | 'small';
  /** Only cases whose description has this text. */
  only?: string;
  /** Ceilings that were measured before; without them they are measured first. */
  ceilings?: Ceilings;
  /** Told of the device once its ceilings are known. */
  onDevice?: (device: BenchDevice) => void;
  /** Told before a case is measured. */
  onStart?: (shape: string, done: number, total: number) => void;
  /** Told of each case as it is done. */
  onCase?: (result: C) => void;
  /** Ends the run before its next case. */
  signal?: AbortSignal;
}

/** Timing noise of one run against another. */
const NOISE = 0.95;

/**
 * Measures all attention kernels, and judges what was asked of them.
 * @throws Error where one of our kernels gives wrong values, or no case has the text of `only`.
 */
export async function benchAttention(gpu: Gpu, options: BenchOptions = {}): Promise<BenchReport> {
  const words = (spec: AttentionSpec) => `${spec.kernel} ${describeAttention(spec)} ${spec.dtype}`;
  const specs = selectCases(attentionSpecs(shapesFor(gpu, options.shapes), gpu.f16), words, options.only);
  const stopwatch = new Stopwatch(gpu);
  try {
    const ceilings = options.ceilings ?? (await measureCeilings(gpu, stopwatch));
    options.onDevice?.(describeDevice(gpu, ceilings, 'gpu'));
    const results: { spec: AttentionSpec; found: AttentionResult }[] = [];
    for (const [i, spec] of specs.entries()) {
      options.signal?.throwIfAborted();
      options.onStart?.(words(spec), i, specs.length);
      const found = await measureAttention(gpu, stopwatch, ceilings, spec);
      results.push({ spec, found });
      options.onCase?.(found.result);
    }
    const clock = results.every(({ found }) => found.clock === 'gpu') ? 'gpu' : 'wall';
    return {
      device: describeDevice(gpu, ceilings, clock),
      cases: results.map(({ found }) => found.result),
      targets: attentionTargets(gpu, results),
    };
  } finally {
    stopwatch.destroy();
  }
}

/** The list of shapes that suits an adapter. */
export function shapesFor(gpu: Gpu, shapes: BenchOptions['shapes']): 'model' | 'small' {
  return shapes ?? (gpu.adapter.isFallback ? 'small' : 'model');
}

/** The cases whose description has a text. @throws Error where there are none. */
export function selectCases<S>(specs: readonly S[], words: (spec: S) => string, text = ''): readonly S[] {
  const chosen = specs.filter((spec) => words(spec).includes(text));
  if (chosen.length === 0)
    throw new Error(`No case has "${text}" in its description, such as "${words(specs[0]!)}".`);
  return chosen;
}

/** What a report says of its device. */
export function describeDevice(gpu: Gpu, ceilings: Ceilings, clock: Timing['clock']): BenchDevice {
  const { copy_gbps, f32_gflops, f16_gflops } = ceilings;
  return { ...gpu.adapter, f16: gpu.f16, subgroups: gpu.subgroups, copy_gbps, f32_gflops, f16_gflops, clock };
}

/** Cases that have a ratio, as `judge` takes them. */
export function ratiosOf<C extends BenchCase>(
  cases: readonly C[],
  ratio: (found: C) => number | null,
): { shape: string; value: number }[] {
  return cases.flatMap((found) => {
    const value = ratio(found);
    return value === null ? [] : [{ shape: `${found.kernel} ${found.shape}`, value }];
  });
}

function attentionTargets(
  gpu: Gpu,
  results: readonly { spec: AttentionSpec; found: AttentionResult }[],
): Target[] {
  const cases = results.map(({ found }) => found.result);
  const backward = results.flatMap(({ found: { result, vs_forward } }) =>
    vs_forward === null ? [] : [{ shape: result.shape, value: vs_forward }],
  );
  const memory = [
    [700, 8, 256],
    [700, 8, 200],
    [300, 4, 1000],
  ].map(([prefix, answers, tokens]) => ({
    shape: `P=${prefix} G=${answers} R=${tokens}`,
    value: kvMemoryByIdeal(gpu, prefix!, answers!, tokens!),
  }));
  const targets = [
    judge('KV memory by the ideal P + G x R', 1.05, 'above', memory),
    judge(
      'Bytes of KV read in a decode step by the ideal',
      1.1,
      'above',
      results
        .filter(({ spec }) => spec.kernel === 'decode')
        .map(({ found: { result, kv_read } }) => ({
          shape: `${result.shape} ${result.dtype}`,
          value: kv_read,
        })),
    ),
    judge(
      'Time with a copied prefix by time with a shared one',
      NOISE,
      'below',
      ratiosOf(cases, (found) => found.vs_copied_prefix),
    ),
    judge(
      "Time of the runtime's operator by ours",
      NOISE,
      'below',
      ratiosOf(cases, (found) => found.vs_runtime),
    ),
    judge('Attention backward by its forward', 4, 'above', backward),
  ];
  if (gpu.adapter.isFallback) return targets;
  const forward = results.filter(({ spec }) => spec.kernel !== 'backward').map(({ found }) => found);
  const copied = forward.flatMap(({ result, copied_by_roofline: value }) =>
    value === null ? [] : [{ shape: `${result.kernel} ${result.shape}`, value }],
  );
  return [
    ...targets,
    judge(
      'Decode and prefill: share of the roofline',
      0.5,
      'below',
      ratiosOf(
        forward.map(({ result }) => result),
        (found) => found.roofline_share,
      ),
    ),
    judge("Copied by shared prefix, by the roofline's own ratio", 0.8, 'below', copied),
  ];
}
