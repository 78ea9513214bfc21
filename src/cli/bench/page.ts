import type { DecodeBench } from '../../bench/bench-decode';
import type { TrainingBench } from '../../bench/bench-training';
import type { BenchCase, BenchDevice, BenchReport } from '../../bench/report';
import { type BenchRequest, runBench } from './run-bench';
import { type DecodeRequest, runDecode } from './run-decode';
import { runTraining, type TrainingRequest } from './run-training';

declare global {
  interface Window {
    benchKernels(request: BenchRequest): Promise<BenchReport>;
    benchTraining(request: TrainingRequest): Promise<TrainingBench>;
    benchDecode(request: DecodeRequest): Promise<DecodeBench>;
    /** Put there by the command. */
    reportDevice(device: BenchDevice): void;
    reportCase(result: BenchCase): void;
    reportBenchLine(line: string): void;
  }
}

window.benchKernels = (request) =>
  runBench(request, {
    onDevice: (device) => window.reportDevice(device),
    onCase: (result) => window.reportCase(result),
  });

window.benchTraining = (request) => runTraining(request, (line) => window.reportBenchLine(line));

window.benchDecode = (request) => runDecode(request, (line) => window.reportBenchLine(line));
