import type { WeightSource } from '../blocks/block-weights';
import type { ResamplerShape } from '../blocks/resampler-graphs';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { byteLength, createTensor, type GpuTensor } from '../gpu/tensor';
import { CONNECTOR_PREFIX } from './tensor-names';

/** Copies the halves of every `to_kv.weight` `[2 * inner, H]` into `to_k.weight` and `to_v.weight`. */
export function splitKv(gpu: Gpu, shape: ResamplerShape, layers: number, weights: WeightSource) {
  const split = new Map<string, GpuTensor>();
  const recorder = new Recorder(gpu, 'split to_kv');
  const { inner_size, hidden_size } = shape;
  for (let i = 0; i < layers; i++) {
    const prefix = `${CONNECTOR_PREFIX}layers.${i}.0.`;
    const both = weights.get(`${prefix}to_kv.weight`);
    for (const [half, name] of ['to_k.weight', 'to_v.weight'].entries()) {
      const tensor = createTensor(gpu, [inner_size, hidden_size], both.dtype, prefix + name);
      copyHalf(recorder, both, half, tensor);
      if (both.scales) copyHalf(recorder, both.scales, half, tensor.scales!);
      split.set(prefix + name, tensor);
    }
  }
  recorder.submit();
  return split;
}

/** Rows of a tensor's first or second half; quantised codes and halves lie row by row too. */
function copyHalf(recorder: Recorder, both: GpuTensor, half: number, out: GpuTensor): void {
  const bytes = byteLength(out.shape, out.dtype);
  recorder.copy(both.buffer, half * bytes, out.buffer, 0, bytes);
}
