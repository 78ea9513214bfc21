import type { Gpu } from './device';
import { GpuMemory } from './memory';
import { UniformRing } from './uniforms';

/** An object that takes any call and does nothing. It is no promise. */
function inert(): unknown {
  return new Proxy(() => undefined, {
    get: (_, key) => (key === 'then' ? undefined : inert()),
    apply: () => inert(),
  });
}

/**
 * A GPU that computes nothing and allocates nothing, but counts what would be allocated: what runs on it shows how much
 * memory it needs, before any is taken. Values read back are zero. Limits and kinds of kernels are those of `like`.
 */
export function countingGpu(like: Pick<Gpu, 'adapter' | 'f16' | 'subgroups' | 'off' | 'device'>): Gpu {
  const { maxBufferSize, maxStorageBufferBindingSize } = like.device.limits;
  const other = inert() as Record<string, unknown>;
  const device = {
    limits: { maxBufferSize, maxStorageBufferBindingSize },
    queue: {
      submit: () => undefined,
      writeBuffer: () => undefined,
      onSubmittedWorkDone: async () => undefined,
    },
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    createBuffer: ({ size, usage, label = '' }: GPUBufferDescriptor) => ({
      size,
      usage,
      label,
      destroy: () => undefined,
      unmap: () => undefined,
      mapAsync: async () => undefined,
      getMappedRange: (offset = 0, length = size - offset) => new ArrayBuffer(length),
    }),
    createShaderModule: () => other,
    createComputePipelineAsync: async () => other,
    createBindGroup: () => other,
    createCommandEncoder: () => other,
  } as unknown as GPUDevice;
  const memory = GpuMemory.watch(device);
  return {
    device,
    adapter: like.adapter,
    f16: like.f16,
    subgroups: like.subgroups,
    off: like.off,
    memory,
    uniforms: new UniformRing(device),
    pipelines: new Map(),
    lost: new Promise(() => {}),
    close: () => undefined,
  };
}
