import { benchAttention } from '../../bench/bench-attention';
import { benchLinear } from '../../bench/bench-linear';
import type { BenchCase, BenchDevice, BenchReport } from '../../bench/report';
import { openGpu } from '../../gpu/device';

/** What can be measured. */
export type BenchSuite = 'attention' | 'linear';

/** A benchmark, and where its lines are shown as they come. */
export interface BenchRequest {
  suite: BenchSuite;
  /** The published model's shapes, or smaller ones; default by the adapter. */
  shapes?: 'model' | 'small';
  /** Only cases whose description has this text. */
  only?: string;
}

/** Where a benchmark's lines go. */
export interface BenchListener {
  onDevice(device: BenchDevice): void;
  onCase(result: BenchCase): void;
}

/** Opens the GPU, measures a suite and closes it again. Runs in Node and in a page. */
export async function runBench(request: BenchRequest, listener: BenchListener): Promise<BenchReport> {
  const { suite, ...which } = request;
  const gpu = await openGpu();
  const options = {
    ...which,
    onDevice: (device: BenchDevice) => listener.onDevice(device),
    onCase: (result: BenchCase) => listener.onCase(result),
  };
  try {
    return await (suite === 'attention' ? benchAttention(gpu, options) : benchLinear(gpu, options));
  } finally {
    gpu.close();
  }
}
