import { benchDecode, type DecodeBench } from '../../bench/bench-decode';
import { openGpu } from '../../gpu/device';

/** Which decoder is measured. */
export interface DecodeRequest {
  /** The published model's size in 4 bits, or its 36 layers narrow; default by the adapter. */
  shapes?: 'model' | 'small';
  /** Default 36. */
  layers?: number;
}

/** Opens the GPU, measures how fast answers are written and closes it again. Runs in Node and in a page. */
export async function runDecode(
  request: DecodeRequest,
  onLine: (line: string) => void,
): Promise<DecodeBench> {
  const gpu = await openGpu();
  try {
    return await benchDecode(gpu, { ...request, onLine });
  } finally {
    gpu.close();
  }
}
