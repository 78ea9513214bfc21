import type { ByteSource } from './byte-source';
import { CheckpointError } from './errors';
import { readSafetensorsHeader, type SafetensorsDtype } from './safetensors';
import { isFloatDtype, widenToF32 } from './widen';

/** A tensor read into memory: floats of any width as f32, I32 and U8 as they are. */
export interface TensorData {
  /** Type in the file. */
  dtype: SafetensorsDtype;
  shape: number[];
  data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}

/**
 * Reads all tensors of a small safetensors file into memory (reference data, adapters).
 * @throws CheckpointError for a damaged file or a type other than F32, F16, BF16, I32, U8.
 */
export async function readSafetensors(source: ByteSource): Promise<Map<string, TensorData>> {
  const { tensors } = await readSafetensorsHeader(source);
  const result = new Map<string, TensorData>();
  for (const [name, { dtype, shape, start, end }] of tensors) {
    const bytes = (await source.read(start, end)).slice();
    if (isFloatDtype(dtype)) result.set(name, { dtype, shape, data: widenToF32(bytes, dtype) });
    else if (dtype === 'I32') result.set(name, { dtype, shape, data: new Int32Array(bytes.buffer) });
    else if (dtype === 'U8') result.set(name, { dtype, shape, data: bytes });
    else
      throw new CheckpointError(`${source.name}: the tensor ${name} is of type ${dtype}, which is not read.`);
  }
  return result;
}
