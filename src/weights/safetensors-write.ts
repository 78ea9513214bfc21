/** A tensor to be written. */
export interface F32Tensor {
  shape: readonly number[];
  values: Float32Array<ArrayBuffer>;
}

/**
 * A safetensors file of F32 tensors (https://github.com/huggingface/safetensors, format), in the order of their names
 * as PyTorch's writer has them; the header is padded with spaces to a multiple of 8.
 * @throws Error where a tensor's values do not fill its shape.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, F32Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const names = [...tensors.keys()].sort();
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const name of names) {
    const { shape, values } = tensors.get(name)!;
    if (shape.reduce((a, b) => a * b, 1) !== values.length)
      throw new Error(`${name}: ${values.length} values do not fill [${shape.join(', ')}].`);
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.fill(0x20, 8, 8 + length);
  file.set(text, 8);
  let at = 8 + length;
  for (const name of names) {
    const { buffer, byteOffset, byteLength } = tensors.get(name)!.values;
    file.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return file;
}
