import type { Gpu } from './device';

/** Threads that a subgroup surely has; 1 where there are none, or where the self-test has switched them off. */
export function subgroupSize(gpu: Gpu): number {
  return gpu.subgroups && !gpu.off.has('subgroups') ? (gpu.adapter.subgroupMinSize ?? 1) : 1;
}

/** Whether four threads are a subgroup, always: a workgroup of four then wastes no lanes. */
export function subgroupsOfFour(gpu: Gpu): boolean {
  return subgroupSize(gpu) === 4 && gpu.adapter.subgroupMaxSize === 4;
}
