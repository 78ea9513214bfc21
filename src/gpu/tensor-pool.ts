import type { Gpu } from './device';
import { byteLength, createTensor, type DType, type GpuTensor } from './tensor';

/**
 * Named buffers that are used again: a name's buffer grows to the largest shape asked for, and a smaller shape sees
 * its beginning. Work on the GPU runs in submission order, so a name may be taken again once its last use is submitted.
 */
export class TensorPool {
  private readonly tensors = new Map<string, GpuTensor>();

  constructor(private readonly gpu: Gpu) {}

  /** A tensor of that shape; contents are left from before. The tensor of an earlier `take` of the name ends with it. */
  take(name: string, shape: readonly number[], dtype: DType = 'f32'): GpuTensor {
    const old = this.tensors.get(name);
    if (old && old.buffer.size >= byteLength(shape, dtype)) {
      const tensor = { buffer: old.buffer, shape, dtype };
      this.tensors.set(name, tensor);
      return tensor;
    }
    old?.buffer.destroy();
    const tensor = createTensor(this.gpu, shape, dtype, name);
    this.tensors.set(name, tensor);
    return tensor;
  }

  /** Frees all of them. */
  destroy(): void {
    for (const { buffer } of this.tensors.values()) buffer.destroy();
    this.tensors.clear();
  }
}
