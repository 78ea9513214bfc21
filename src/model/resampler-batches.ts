/**
 * Rows of each of `groups` consecutive chunks of a sequence: the first `rows % groups` have one more than the rest.
 * (groupresampler.py, split_tensor)
 */
export function chunkSizes(rows: number, groups: number): number[] {
  const least = Math.floor(rows / groups);
  return Array.from({ length: groups }, (_, i) => least + (i < rows % groups ? 1 : 0));
}

/** `[first, count]` of the parts of `rows` rows, each of `most` but the last. */
export function cut(rows: number, most: number): [first: number, count: number][] {
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => [
    i * most,
    Math.min(most, rows - i * most),
  ]);
}

/** Groups that are encoded together. */
export interface GroupBatch {
  /** The first group, and its first row of the features. */
  group: number;
  row: number;
  /** Rows of each group. */
  sizes: readonly number[];
}

/** As many groups at a time as have at most `most` rows together, shared out evenly; at least one at a time. */
export function groupBatches(sizes: readonly number[], most: number): GroupBatch[] {
  // The first group has the most rows.
  const fitting = Math.max(1, Math.floor(most / sizes[0]!));
  const count = Math.ceil(sizes.length / Math.ceil(sizes.length / fitting));
  let row = 0;
  return cut(sizes.length, count).map(([group, groups]) => {
    const batch = { group, row, sizes: sizes.slice(group, group + groups) };
    row += batch.sizes.reduce((sum, size) => sum + size, 0);
    return batch;
  });
}
