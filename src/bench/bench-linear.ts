import type { Gpu } from '../gpu/device';
import { type BenchOptions, describeDevice, ratiosOf, selectCases, shapesFor } from './bench-attention';
import { measureCeilings } from './ceilings';
import { linearSpecs } from './linear-specs';
import { describeLinear, type LinearResult, measureLinear } from './measure-linear';
import { type BenchReport, judge, type LinearCase, type Target } from './report';
import { Stopwatch } from './stopwatch';

/**
 * Measures linear layers of every type of weight in both dense backends, and judges what was asked of ours.
 * @throws Error where one of our kernels gives wrong values, or no case has the text of `only`.
 */
export async function benchLinear(
  gpu: Gpu,
  options: BenchOptions<LinearCase> = {},
): Promise<BenchReport<LinearCase>> {
  const specs = selectCases(linearSpecs(shapesFor(gpu, options.shapes)), describeLinear, options.only);
  const stopwatch = new Stopwatch(gpu);
  try {
    const ceilings = options.ceilings ?? (await measureCeilings(gpu, stopwatch));
    options.onDevice?.(describeDevice(gpu, ceilings, 'gpu'));
    const results: LinearResult[] = [];
    for (const [i, spec] of specs.entries()) {
      options.signal?.throwIfAborted();
      options.onStart?.(describeLinear(spec), i, specs.length);
      const found = await measureLinear(gpu, stopwatch, ceilings, spec);
      results.push(found);
      options.onCase?.(found.result);
    }
    return {
      device: describeDevice(gpu, ceilings, results.every(({ clock }) => clock === 'gpu') ? 'gpu' : 'wall'),
      cases: results.map(({ result }) => result),
      targets: linearTargets(gpu, results, ceilings.copy_gbps),
    };
  } finally {
    stopwatch.destroy();
  }
}

function linearTargets(gpu: Gpu, results: readonly LinearResult[], copy_gbps: number): Target[] {
  const cases = results.map(({ result }) => result);
  const gradient = results.flatMap(({ result, vs_forward }) =>
    vs_forward === null ? [] : [{ shape: `${result.shape} ${result.weights}`, value: vs_forward }],
  );
  const targets = [
    judge(
      "Time of the runtime's operator by ours",
      0.95,
      'below',
      ratiosOf(cases, (found) => found.vs_runtime),
    ),
    judge('Gradient of the input by the forward pass', 1.3, 'above', gradient),
  ];
  const few = cases.filter(({ rows, weights }) => rows <= 16 && weights === 'q4');
  if (!gpu.adapter.isFallback && few.length > 0) {
    const shares = ratiosOf(few, ({ gbps }) => gbps / copy_gbps);
    targets.push(judge('4-bit layers of a few rows: share of the copy bandwidth', 0.5, 'below', shares));
  }
  return targets;
}
