import type { BenchCase, BenchDevice, BenchReport } from '../../bench/report';
import { type BenchRequest, runBench } from './run-bench';

declare global {
  interface Window {
    benchKernels(request: BenchRequest): Promise<BenchReport>;
    /** Put there by the command. */
    reportDevice(device: BenchDevice): void;
    reportCase(result: BenchCase): void;
  }
}

window.benchKernels = (request) =>
  runBench(request, {
    onDevice: (device) => window.reportDevice(device),
    onCase: (result) => window.reportCase(result),
  });
