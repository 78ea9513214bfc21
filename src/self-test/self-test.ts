import type { Gpu, KernelKind } from '../gpu/device';
import { GpuError } from '../gpu/errors';
import type { SelfTestCheck, SelfTestReport } from './report';

/** A kernel to be held to its reference. */
export interface Check {
  /** In words: "linear layers f32". */
  name: string;
  /** Kinds that can be switched off where it fails, the first that is in use first. */
  ways: readonly KernelKind[];
  tolerance: number;
  /** Compiles the kernels that this adapter runs now; the result runs them and gives their largest relative error. */
  prepare(gpu: Gpu): Promise<() => Promise<number>>;
}

/**
 * Runs checks, and where one fails switches off the kind of kernels that may be the cause (`gpu.off`) and runs them all
 * again with what runs instead, until all pass.
 * @throws GpuError `wrong-values` where a check fails and nothing is left to run instead.
 */
export async function selfTest(gpu: Gpu, checks: readonly Check[]): Promise<SelfTestReport> {
  const off: SelfTestReport['off'] = [];
  let ms = 0;
  for (;;) {
    const results: SelfTestCheck[] = [];
    let failed: { check: Check; result: SelfTestCheck } | undefined;
    for (const check of checks) {
      // Where ONNX Runtime runs instead, there are no kernels of ours to test; nor of halves where nothing is stored so.
      const gone = (['dense', 'halves'] as const).some(
        (kind) => gpu.off.has(kind) && check.ways.includes(kind),
      );
      if (gone) continue;
      const run = await check.prepare(gpu);
      const begin = performance.now();
      const max_error = await run();
      ms += performance.now() - begin;
      const ok = max_error <= check.tolerance;
      const { name, tolerance, ways } = check;
      const result = { name, variant: variantName(gpu, ways), max_error, tolerance, ok };
      results.push(result);
      if (ok) continue;
      failed = { check, result };
      break;
    }
    if (!failed) return { checks: results, off, ms, remembered: false };
    const kind = failed.check.ways.find((way) => inUse(gpu, way));
    if (!kind) throw wrongValues(failed.result);
    gpu.off.add(kind);
    off.push({ kind, check: failed.result });
  }
}

/** Whether kernels of a kind run on an adapter. */
function inUse(gpu: Gpu, kind: KernelKind): boolean {
  if (gpu.off.has(kind)) return false;
  if (kind === 'subgroups') return gpu.subgroups;
  // CPU adapters have no use for tiles in workgroup memory.
  return kind !== 'tiles' || !gpu.adapter.isFallback;
}

function variantName(gpu: Gpu, ways: readonly KernelKind[]): string {
  const tiles = ways.includes('tiles') && inUse(gpu, 'tiles') ? 'tiles' : 'registers';
  return ways.includes('subgroups') && inUse(gpu, 'subgroups') ? `${tiles}, subgroups` : tiles;
}

function wrongValues({ name, max_error }: SelfTestCheck): GpuError {
  return new GpuError(
    'wrong-values',
    `The kernels for ${name} give wrong values on this GPU (off by ${max_error.toPrecision(2)} of the largest value), ` +
      'and there are no others for it. Update the browser or the driver, or try another GPU.',
  );
}

/** The largest error relative to the largest reference value; infinite where a value is not a number. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return largest > 0 ? worst / largest : worst;
}
