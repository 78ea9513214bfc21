/** Ten million samples: four days at 30 frames a second. A larger count is damage, and would exhaust memory. */
export const MAX_SAMPLES = 10_000_000;

/** A column of at least `length` values, with the same ones at its start. */
export function grow<T extends Float64Array | Uint32Array | Uint8Array>(column: T, length: number): T {
  if (length <= column.length) return column;
  const Column = column.constructor as new (length: number) => T;
  const grown = new Column(Math.max(length, 2 * column.length, 64));
  grown.set(column);
  return grown;
}

/** Samples as a container lists them, in decoding order; times in units of the track's timescale. */
export class RawSamples {
  length = 0;
  /** See `Samples.positions`. */
  positions = new Float64Array(0);
  sizes = new Uint32Array(0);
  /** Composition times. */
  cts = new Float64Array(0);
  durations = new Float64Array(0);
  keys = new Uint8Array(0);

  /** Makes room for `count` samples more. @throws RangeError where no file can have as many. */
  reserve(count: number): void {
    const length = this.length + count;
    if (!(length <= MAX_SAMPLES)) throw new RangeError(`The table lists ${length} samples.`);
    this.positions = grow(this.positions, length);
    this.sizes = grow(this.sizes, length);
    this.cts = grow(this.cts, length);
    this.durations = grow(this.durations, length);
    this.keys = grow(this.keys, length);
  }

  /** @throws RangeError for a number that is none: the tables do not fit together. */
  add(position: number, size: number, cts: number, duration: number, isKey: boolean): void {
    if (!(position >= 0 && size >= 0 && duration >= 0 && Number.isFinite(position + size + cts + duration)))
      throw new RangeError(`The tables do not fit together at sample ${this.length}.`);
    if (this.length >= this.keys.length) this.reserve(1);
    const i = this.length++;
    this.positions[i] = position;
    this.sizes[i] = size;
    this.cts[i] = cts;
    this.durations[i] = duration;
    this.keys[i] = isKey ? 1 : 0;
  }
}
