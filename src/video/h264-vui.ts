import type { ColourTags } from './colour';

/** Reads single bits and Exp-Golomb codes from a NAL unit's payload. */
class BitReader {
  private position = 0;
  constructor(private readonly bytes: Uint8Array) {}

  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.bytes[this.position >> 3];
      if (byte === undefined) throw new RangeError('The parameter set ends early.');
      value = value * 2 + ((byte >> (7 - (this.position & 7))) & 1);
      this.position++;
    }
    return value;
  }

  flag(): boolean {
    return this.bits(1) === 1;
  }

  ue(): number {
    let zeros = 0;
    while (!this.flag()) if (++zeros > 31) throw new RangeError('The parameter set has a broken number.');
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  se(): number {
    const code = this.ue();
    return code % 2 ? (code + 1) / 2 : -code / 2;
  }
}

/** Drops the emulation prevention bytes (00 00 03 -> 00 00). */
function dropEmulationBytes(nal: Uint8Array): Uint8Array {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out.push(byte);
  }
  return new Uint8Array(out);
}

function skipScalingLists(reader: BitReader, lists: number): void {
  for (let i = 0; i < lists; i++) {
    if (!reader.flag()) continue;
    let last = 8;
    let next = 8;
    for (let j = 0; j < (i < 6 ? 16 : 64); j++) {
      if (next !== 0) next = (last + reader.se() + 256) % 256;
      if (next !== 0) last = next;
    }
  }
}

const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** The colour tags of a sequence parameter set (ITU-T H.264, 7.3.2.1.1 and E.1.1); what is not said is undefined. */
function readSps(nal: Uint8Array): ColourTags {
  const reader = new BitReader(dropEmulationBytes(nal.subarray(1)));
  const profile = reader.bits(8);
  reader.bits(16);
  reader.ue();
  if (HIGH_PROFILES.has(profile)) {
    const chroma = reader.ue();
    if (chroma === 3) reader.bits(1);
    reader.ue();
    reader.ue();
    reader.bits(1);
    if (reader.flag()) skipScalingLists(reader, chroma === 3 ? 12 : 8);
  }
  reader.ue();
  const orderType = reader.ue();
  if (orderType === 0) reader.ue();
  else if (orderType === 1) {
    reader.bits(1);
    reader.se();
    reader.se();
    for (let n = reader.ue(); n > 0; n--) reader.se();
  }
  reader.ue();
  reader.bits(1);
  reader.ue();
  reader.ue();
  if (!reader.flag()) reader.bits(1);
  reader.bits(1);
  if (reader.flag()) for (let i = 0; i < 4; i++) reader.ue();
  if (!reader.flag()) return {};
  if (reader.flag() && reader.bits(8) === 255) reader.bits(32);
  if (reader.flag()) reader.bits(1);
  if (!reader.flag()) return {};
  reader.bits(3);
  const fullRange = reader.flag();
  if (!reader.flag()) return { fullRange };
  reader.bits(16);
  return { fullRange, matrix: reader.bits(8) };
}

/**
 * Colour tags of the H.264 stream itself, from the first parameter set in an `avcC` box.
 * @param avcC the bytes of the box after its header.
 * @returns undefined where the box holds no parameter set that can be read.
 */
export function readH264Colour(avcC: Uint8Array): ColourTags | undefined {
  if (avcC.length < 8 || (avcC[5]! & 31) === 0) return undefined;
  const length = avcC[6]! * 256 + avcC[7]!;
  try {
    return readSps(avcC.subarray(8, 8 + length));
  } catch {
    return undefined; // A stream whose tags cannot be read is treated as one whose tags are unknown.
  }
}
