/** Bytes of the largest tensor that a device takes: it must fit into one buffer and into one binding. */
export function largestTensor(
  limits: Pick<GPUSupportedLimits, 'maxBufferSize' | 'maxStorageBufferBindingSize'>,
): number {
  return Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
}
