/** Float types whose values f32 holds exactly. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

/** Bytes of an element. */
export const FLOAT_BYTES: Record<FloatDtype, number> = { F32: 4, F16: 2, BF16: 2 };

/** Whether f32 holds every value of a safetensors type, and the loader reads it. */
export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return Object.hasOwn(FLOAT_BYTES, dtype);
}

/**
 * Little-endian values to f32, exactly (NaN payloads and signed zeros included). F32 comes back as a view where its
 * bytes are aligned, else as a copy.
 */
export function widenToF32(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype): Float32Array<ArrayBuffer> {
  const width = FLOAT_BYTES[dtype];
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const n = bytes.byteLength / width;
  if (dtype === 'F32') return new Float32Array(aligned.buffer, aligned.byteOffset, n);
  const half = new Uint16Array(aligned.buffer, aligned.byteOffset, n);
  const bits = new Uint32Array(n);
  if (dtype === 'BF16') for (let i = 0; i < n; i++) bits[i] = half[i]! << 16;
  else for (let i = 0; i < n; i++) bits[i] = f16ToF32Bits(half[i]!);
  return new Float32Array(bits.buffer);
}

/** IEEE half to single, as bit patterns. */
export function f16ToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent > 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  // A subnormal half is a normal single: shift its leading one up to bit 10.
  const shift = Math.clz32(mantissa) - 21;
  return (sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13)) >>> 0;
}

/**
 * Index of the first value that is NaN or infinite (all bits of the exponent set), -1 where there is none.
 * Little-endian values as stored.
 */
export function firstNonFinite(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype): number {
  const width = FLOAT_BYTES[dtype];
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const n = bytes.byteLength / width;
  const words =
    dtype === 'F32'
      ? new Uint32Array(aligned.buffer, aligned.byteOffset, n)
      : new Uint16Array(aligned.buffer, aligned.byteOffset, n);
  const exponent = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 }[dtype];
  for (let i = 0; i < n; i++) if ((words[i]! & exponent) === exponent) return i;
  return -1;
}
