const MAX_GROUPS = 65535;

/**
 * Workgroups for `threads` threads in groups of `size`, folded into two dimensions where one is not enough.
 * Thread number in the kernel: `id.y * num_workgroups.x * size + id.x`; the last ones may be beyond `threads`.
 */
export function foldGrid(threads: number, size: number): [number, number] {
  const groups = Math.max(1, Math.ceil(threads / size));
  if (groups <= MAX_GROUPS) return [groups, 1];
  const y = Math.ceil(groups / MAX_GROUPS);
  return [Math.ceil(groups / y), y];
}
