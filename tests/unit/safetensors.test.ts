import { describe, expect, it } from 'vitest';
import { memorySource } from '../../src/weights/byte-source';
import { readSafetensorsHeader } from '../../src/weights/safetensors';
import { readSafetensors } from '../../src/weights/tensor-data';
import { f16ToF32Bits, firstNonFinite, widenToF32 } from '../../src/weights/widen';
import { loadGolden } from '../support/golden';

/** A safetensors file with this header and this many bytes of data. */
function file(header: unknown, dataBytes: number, claimed?: number) {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimed ?? text.length), true);
  bytes.set(text, 8);
  return memorySource('m.safetensors', bytes);
}

const entry = (dtype: string, shape: number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe('readSafetensorsHeader', () => {
  it('reads a file of the reference set', async () => {
    const tensors = await loadGolden('lm.safetensors');
    expect(tensors.get('logits')?.shape).toEqual([161, 1024]);
    expect(tensors.get('greedy_ids')?.data).toBeInstanceOf(Int32Array);
    expect(tensors.get('logits')?.data.length).toBe(161 * 1024);
  });

  it('keeps metadata apart and allows empty tensors and scalars', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      empty: entry('F32', [0, 4], 0, 0),
      s: entry('F32', [], 0, 4),
    };
    const { tensors, metadata } = await readSafetensorsHeader(file(header, 4));
    expect(metadata).toEqual({ format: 'pt' });
    expect([...tensors.keys()]).toEqual(['empty', 's']);
  });

  const cases: [string, Parameters<typeof file>, RegExp][] = [
    ['a header longer than the file', [{}, 0, 1e6], /claims 1000000 bytes/],
    ['a header beyond the limit', [{}, 0, 2 ** 52], /claims 4503599627370496 bytes/],
    ['a header that is not JSON', ['{"a":', 0], /not JSON/],
    ['a header that is a list', [[], 0], /not an object/],
    ['an unknown type', [{ w: entry('Q4', [2], 0, 1) }, 1], /tensor w has the unknown type "Q4"/],
    [
      'a type that is a method name',
      [{ w: entry('toString', [2], 0, 1) }, 1],
      /tensor w has the unknown type/,
    ],
    ['an end beyond the file', [{ w: entry('F32', [2], 0, 8) }, 4], /tensor w should end at byte .* cut off/],
    ['bytes that do not fit the shape', [{ w: entry('F32', [3], 0, 8) }, 8], /takes 12 bytes, not 8/],
    ['a shape whose size overflows', [{ w: entry('F32', [2 ** 40, 2 ** 40], 0, 8) }, 8], /takes .* not 8/],
    ['a negative size', [{ w: entry('F32', [-1], 0, 4) }, 4], /not a list of sizes/],
    ['offsets in the wrong order', [{ w: entry('F32', [1], 4, 0) }, 4], /not a range/],
    [
      'overlapping tensors',
      [{ a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) }, 8],
      /a and b overlap/,
    ],
  ];
  for (const [what, args, message] of cases) {
    it(`refuses ${what}`, async () => {
      await expect(readSafetensorsHeader(file(...args))).rejects.toThrow(message);
    });
  }

  it('refuses a file of a few bytes', async () => {
    await expect(readSafetensorsHeader(memorySource('x', new Uint8Array(3)))).rejects.toThrow(/only 3 bytes/);
  });

  it('names a type that it does not read', async () => {
    await expect(readSafetensors(file({ w: entry('I64', [1], 0, 8) }, 8))).rejects.toThrow(
      /w is of type I64/,
    );
  });
});

describe('firstNonFinite', () => {
  it.each([
    ['F32', new Uint32Array([0x7f7fffff, 0x80000001, 0xff800000, 0x7fc00000])],
    ['F16', new Uint16Array([0x7bff, 0x8001, 0xfc00, 0x7e00])],
    ['BF16', new Uint16Array([0x7f7f, 0x8001, 0xff80, 0x7fc0])],
  ] as const)('finds infinity and NaN in %s, at any offset', (dtype, bits) => {
    const bytes = new Uint8Array(bits.buffer);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const width = bytes.length / 4;
    expect(firstNonFinite(bytes, dtype)).toBe(2);
    expect(firstNonFinite(shifted.subarray(1), dtype)).toBe(2);
    expect(firstNonFinite(bytes.subarray(3 * width), dtype)).toBe(0);
    expect(firstNonFinite(bytes.subarray(0, 2 * width), dtype)).toBe(-1);
  });
});

describe('widenToF32', () => {
  it('widens every half exactly', () => {
    const bits = new Uint16Array(65536).map((_, i) => i);
    const wide = widenToF32(new Uint8Array(bits.buffer), 'F16');
    for (let i = 0; i < 65536; i++) {
      const sign = i & 0x8000 ? -1 : 1;
      const exponent = (i >> 10) & 31;
      const mantissa = i & 1023;
      const expected =
        exponent === 31
          ? mantissa
            ? Number.NaN
            : sign * Number.POSITIVE_INFINITY
          : exponent
            ? sign * 2 ** (exponent - 15) * (1 + mantissa / 1024)
            : sign * 2 ** -24 * mantissa;
      if (!Object.is(wide[i], expected)) expect([i, wide[i]]).toEqual([i, expected]);
    }
    expect(f16ToF32Bits(0x8000)).toBe(0x80000000);
  });

  it('widens bfloat16 by its bits', () => {
    const bits = new Uint16Array([0x3f80, 0xc000, 0x0001, 0x7f80, 0x8000]);
    const wide = new Uint32Array(widenToF32(new Uint8Array(bits.buffer), 'BF16').buffer);
    expect([...wide]).toEqual([0x3f800000, 0xc0000000, 0x00010000, 0x7f800000, 0x80000000]);
  });

  it('reads bytes at an odd offset', () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(new Float32Array([1.5, -2]).buffer), 1);
    expect([...widenToF32(bytes.subarray(1), 'F32')]).toEqual([1.5, -2]);
  });
});
