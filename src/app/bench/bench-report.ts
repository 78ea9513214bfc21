import type { BenchState } from '../store/bench-state';
import type { GpuState } from '../store/engine-state';

/** All that is on the page, as JSON: for a report, or to compare two machines. */
export function benchReport(
  { selfTest, backends, device, cases, targets, status }: BenchState,
  gpu: GpuState | undefined,
  model: string,
  now: Date = new Date(),
): string {
  const report = {
    format: 'tinyllava-bench-1',
    time: now.toISOString(),
    browser: navigator.userAgent,
    model,
    complete: status === 'done',
    adapter: gpu?.adapter,
    device,
    self_test: selfTest,
    backends,
    cases,
    targets,
  };
  return `${JSON.stringify(report, null, 1)}\n`;
}
