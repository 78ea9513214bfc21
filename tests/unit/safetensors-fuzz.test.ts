import { expect, it } from 'vitest';
import { memorySource } from '../../src/weights/byte-source';
import { CheckpointError } from '../../src/weights/errors';
import { readSafetensorsHeader } from '../../src/weights/safetensors';
import { scanJson } from '../../src/weights/scan-json';

const MUTATIONS = 50_000;
const WIDTHS: Record<string, number> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2 },
  ...{ U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

/** Numbers in [0, n), the same for the same seed. */
function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function validFile(roll: (n: number) => number): { head: string; data: number } {
  const header: Record<string, unknown> = roll(2) ? { __metadata__: { format: 'pt' } } : {};
  let at = 0;
  for (let i = 0; i <= roll(4); i++) {
    const dtype = ['F32', 'BF16', 'F16', 'U8'][roll(4)]!;
    const shape = Array.from({ length: roll(3) }, () => roll(4));
    const bytes = shape.reduce((product, dim) => product * dim, WIDTHS[dtype]!);
    header[`layer.${i}.weight`] = { dtype, shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  return { head: JSON.stringify(header), data: at };
}

const PIECES = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '-', '.', 'e', '0', '9', '1e309', '-1', '1.5', 'null', 'true'],
  ...['"F32"', '"dtype"', '"shape":[1]', '9007199254740993', '\u0000', '"layer.0.weight":', '\ud800', ' '],
];

/** A file with one to three changes: characters of the header, numbers, its claimed length, its end. */
function mutated(roll: (n: number) => number): Uint8Array<ArrayBuffer> {
  const { head, data } = validFile(roll);
  let text = head;
  let claimed: bigint | undefined;
  let cut = 0;
  for (let i = 0; i <= roll(3); i++) {
    const at = roll(text.length + 1);
    switch (roll(6)) {
      case 0:
        text = text.slice(0, at) + PIECES[roll(PIECES.length)] + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + roll(8));
        break;
      case 2:
        text = text.replace(/\d+/g, (digits) => (roll(4) ? digits : String(roll(100) - 1)));
        break;
      case 3:
        claimed = [0n, 1n, 2n ** 64n - 1n, 2n ** 40n, BigInt(roll(400))][roll(5)];
        break;
      case 4:
        cut = roll(12) - 4;
        break;
      default:
        text = text.slice(0, at) + text.slice(roll(at + 1), at) + text.slice(at);
    }
  }
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(Math.max(0, 8 + json.length + data - cut));
  const whole = new Uint8Array(8 + json.length);
  new DataView(whole.buffer).setBigUint64(0, claimed ?? BigInt(json.length), true);
  whole.set(json, 8);
  bytes.set(whole.subarray(0, bytes.length));
  return bytes;
}

/** The format's rules, written a second time: whether these bytes are a file of it. */
function isValid(bytes: Uint8Array<ArrayBuffer>): boolean {
  if (bytes.length < 8) return false;
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  if (8 + length > bytes.length) return false;
  let keys: string[] = [];
  let header: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length));
    header = JSON.parse(text, (_key, value) => value);
    if (typeof header !== 'object' || header === null || Array.isArray(header)) return false;
    keys = Object.keys(header);
  } catch {
    return false;
  }
  const ranges: [number, number][] = [];
  for (const key of keys) {
    const value = header[key]!;
    if (key === '__metadata__') {
      const strings = typeof value === 'object' && value !== null && !Array.isArray(value);
      if (!strings || !Object.values(value).every((item) => typeof item === 'string')) return false;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = value ?? {};
    const width = typeof dtype === 'string' ? WIDTHS[dtype] : undefined;
    const naturals = (list: unknown): list is number[] =>
      Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!width || !naturals(shape) || !naturals(offsets) || offsets.length !== 2) return false;
    if (offsets[1]! - offsets[0]! !== shape.reduce((product, dim) => product * dim, width)) return false;
    ranges.push([offsets[0]!, offsets[1]!]);
  }
  let end = 0;
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) return false;
    end = to;
  }
  return end === bytes.length - 8 - length;
}

/** How deep brackets outside of strings are nested. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const bracket of text.replace(/"(?:\\.|[^"\\])*"/gs, '').match(/[[\]{}]/g) ?? []) {
    depth += '[{'.includes(bracket) ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

it(`takes and refuses ${MUTATIONS} changed headers as the format's rules say`, async () => {
  const roll = dice(1);
  const seen = { taken: 0, refused: 0, doubled: 0 };
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = mutated(roll);
    let refused: unknown;
    try {
      await readSafetensorsHeader(memorySource('m.safetensors', bytes));
    } catch (cause) {
      refused = cause;
    }
    if (refused !== undefined && !(refused instanceof CheckpointError)) throw refused;
    // JSON.parse keeps the last of two equal keys: what the first one had, the second reading cannot see.
    if (refused instanceof CheckpointError && refused.message.includes('twice')) seen.doubled++;
    else if (refused instanceof CheckpointError && refused.message.includes('nested'))
      expect(depthOf(new TextDecoder().decode(bytes.subarray(8)))).toBeGreaterThan(3);
    else if ((refused === undefined) !== isValid(bytes))
      throw new Error(`Change ${i}: ${refused ?? 'taken'}: ${new TextDecoder().decode(bytes.subarray(8))}`);
    seen[refused === undefined ? 'taken' : 'refused']++;
  }
  expect(seen.taken).toBeGreaterThan(MUTATIONS / 50);
  expect(seen.refused).toBeGreaterThan(MUTATIONS / 2);
  expect(seen.doubled).toBeGreaterThan(20);
}, 60_000);

it('finds bombs before they are parsed', () => {
  const limits = { depth: 3, values: 1000 };
  const encode = (text: string) => new TextEncoder().encode(text);
  expect(scanJson(encode('['.repeat(1e6)), limits).problem).toMatch(/more than 3 deep/);
  expect(scanJson(encode(`[${'0,'.repeat(2000)}0]`), limits).problem).toMatch(/more than 1000 values/);
  expect(scanJson(encode('{"a":"[[[[[","b":["\\"]]]]"]}'), limits)).toEqual({});
  expect(scanJson(encode('{"a":1,"b":{"a":2},"\\u0061":3}'), limits).doubled).toBe('a');
});
