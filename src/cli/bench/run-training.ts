import { benchTraining, type TrainingBench } from '../../bench/bench-training';
import { openGpu } from '../../gpu/device';

/** Which shapes training is measured at. */
export interface TrainingRequest {
  /** Layers of the published model's size, or the toy model; default by the adapter. */
  shapes?: 'model' | 'small';
  /** The published model's lengths, also with the toy model. */
  long?: boolean;
}

/** Opens the GPU, measures what training costs and closes it again. Runs in Node and in a page. */
export async function runTraining(
  request: TrainingRequest,
  onLine: (line: string) => void,
): Promise<TrainingBench> {
  const gpu = await openGpu();
  try {
    return await benchTraining(gpu, { ...request, onLine });
  } finally {
    gpu.close();
  }
}
