/**
 * Small deterministic random generator (splitmix32 over 32-bit integers).
 * Integer arithmetic only, so a seed gives the same stream on every platform.
 */
export class ToyRng {
  private state: number;

  /** `seed`: any safe integer; all of its 53 bits count. */
  constructor(seed: number) {
    const low = seed >>> 0;
    const high = Math.floor(seed / 4294967296) >>> 0;
    this.state = (low ^ Math.imul(high + 0x9e3779b9, 0x85ebca6b)) >>> 0;
    this.nextUint32();
  }

  /** Uniform in 0 .. 2^32 - 1. */
  nextUint32(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** Uniform in [0, 1), a multiple of 2^-32. */
  float(): number {
    return this.nextUint32() / 4294967296;
  }

  /** Uniform in [low, high). */
  range(low: number, high: number): number {
    return low + (high - low) * this.float();
  }

  /** Uniform integer in 0 .. n - 1. */
  int(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.float() < p;
  }

  /** One element. Throws on an empty list. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('ToyRng.pick needs at least one item.');
    return items[this.int(items.length)] as T;
  }

  /** One index, with probability proportional to its weight. */
  weighted(weights: readonly number[]): number {
    let rest = this.float() * weights.reduce((sum, w) => sum + w, 0);
    for (let i = 0; i < weights.length; i++) {
      rest -= weights[i] as number;
      if (rest < 0) return i;
    }
    return weights.length - 1;
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const t = out[i] as T;
      out[i] = out[j] as T;
      out[j] = t;
    }
    return out;
  }
}
