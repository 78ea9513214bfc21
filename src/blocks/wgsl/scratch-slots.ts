/** A value inside a graph: what it takes, and the nodes between which it is needed, both included. */
export interface ScratchValue {
  name: string;
  bytes: number;
  first: number;
  last: number;
}

/** Places for values, the largest first, and the place of each value by name. */
export interface ScratchSlots {
  bytes: number[];
  slotOf: Map<string, number>;
}

/**
 * Shares places out among values, so that two that are needed at the same time have different ones. The largest value
 * chooses first, and each takes the smallest place that is left for it, so that small values wait in places of large ones
 * and never the other way round (greedy by size: Pisarchyk and Lee, arXiv 2001.03288).
 */
export function assignSlots(values: readonly ScratchValue[]): ScratchSlots {
  const bytes: number[] = [];
  const slotOf = new Map<string, number>();
  const held: ScratchValue[][] = [];
  for (const value of [...values].sort((a, b) => b.bytes - a.bytes)) {
    const free = held.findLastIndex((others) =>
      others.every(({ first, last }) => last < value.first || first > value.last),
    );
    const slot = free >= 0 ? free : bytes.push(value.bytes) - 1;
    (held[slot] ??= []).push(value);
    slotOf.set(value.name, slot);
  }
  return { bytes, slotOf };
}
