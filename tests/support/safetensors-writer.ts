/** A safetensors file of F32 tensors, for tests. Shapes default to one dimension. */
export function writeSafetensors(
  tensors: Record<string, ArrayLike<number>>,
  shapes: Record<string, number[]> = {},
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, values] of Object.entries(tensors)) {
    const end = offset + values.length * 4;
    header[name] = { dtype: 'F32', shape: shapes[name] ?? [values.length], data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + offset);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let position = 8 + text.length;
  for (const values of Object.values(tensors)) {
    for (let i = 0; i < values.length; i++, position += 4) view.setFloat32(position, values[i]!, true);
  }
  return bytes;
}
