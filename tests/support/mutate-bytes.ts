/** Uniform numbers in [0, 1). */
export type Random = () => number;

/** A broken file, and the names of what was done to it. */
export interface Damaged {
  bytes: Uint8Array<ArrayBuffer>;
  damage: string[];
}

/** Values that parsers trip over. */
const EXTREMES = [
  0,
  1,
  2,
  7,
  8,
  9,
  15,
  16,
  255,
  65535,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
];

/** Ways to choose at random. */
export interface Tools {
  random: Random;
  /** 0 <= integer < n. */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
  extreme(): number;
}

/** The same choices for the same numbers. */
export function tools(random: Random): Tools {
  const below = (n: number) => Math.floor(random() * n);
  return {
    random,
    below,
    pick: (list) => list[below(list.length)]!,
    extreme: () => (random() < 0.8 ? EXTREMES[below(EXTREMES.length)]! : below(2 ** 32)),
  };
}

/** Damage to the file's bytes, whatever they are. */
export const BYTE_MUTATIONS: Record<string, (bytes: Uint8Array, rnd: Tools) => Uint8Array> = {
  truncate: (bytes, rnd) => bytes.subarray(0, rnd.below(bytes.length + 1)),
  bytes(bytes, rnd) {
    for (let n = 1 + rnd.below(16); n > 0; n--) bytes[rnd.below(bytes.length)] = rnd.below(256);
    return bytes;
  },
  word(bytes, rnd) {
    if (bytes.length >= 4)
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(rnd.below(bytes.length - 3), rnd.extreme());
    return bytes;
  },
  cut(bytes, rnd) {
    const at = rnd.below(bytes.length);
    const end = Math.min(bytes.length, at + 1 + rnd.below(rnd.pick([4, 64, 1024])));
    return new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(end)]);
  },
  insert(bytes, rnd) {
    const at = rnd.below(bytes.length);
    const some = Array.from({ length: 1 + rnd.below(32) }, () => rnd.below(256));
    return new Uint8Array([...bytes.subarray(0, at), ...some, ...bytes.subarray(at)]);
  },
};

/** Does those of the named kinds of damage that are damage to bytes. */
export function damageBytes(
  bytes: Uint8Array,
  damage: readonly string[],
  rnd: Tools,
): Uint8Array<ArrayBuffer> {
  let out = bytes;
  for (const name of damage) if (name in BYTE_MUTATIONS && out.length) out = BYTE_MUTATIONS[name]!(out, rnd);
  return new Uint8Array(out);
}
