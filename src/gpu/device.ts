import { GpuError } from './errors';
import { largestTensor } from './largest-tensor';
import { GpuMemory } from './memory';
import { UniformRing } from './uniforms';

/** What the adapter says of itself, for the page and for bench results. */
export interface AdapterSummary {
  vendor: string;
  architecture: string;
  description: string;
  isFallback: boolean;
  features: string[];
  limits: {
    maxBufferSize: number;
    maxStorageBufferBindingSize: number;
    maxComputeWorkgroupStorageSize: number;
    maxComputeInvocationsPerWorkgroup: number;
    maxStorageBuffersPerShaderStage: number;
  };
  subgroupMinSize?: number;
  subgroupMaxSize?: number;
}

/** Kinds of kernels that can be switched off where they give wrong values: others of the same purpose run instead. */
export type KernelKind =
  /** What uses subgroup operations: the same kernels without them run instead. */
  | 'subgroups'
  /** What shares tiles through workgroup memory: kernels that keep theirs in registers run instead. */
  | 'tiles'
  /** Our dense kernels altogether: ONNX Runtime runs instead. */
  | 'dense'
  /** What stores keys, values and activations in f16: it is done in f32 instead. */
  | 'halves';

/** The one device of an engine and what belongs to it. Every room below `worker/` receives this object. */
export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterSummary;
  /** True where shaders may use f16. */
  readonly f16: boolean;
  /** True where shaders may use subgroup operations. */
  readonly subgroups: boolean;
  /** Kinds of kernels that gave wrong values on this adapter (see self-test/). Empty at first. */
  readonly off: Set<KernelKind>;
  readonly memory: GpuMemory;
  /** Small uniform blocks of dispatches (see `Recorder`). */
  readonly uniforms: UniformRing;
  /** Compiled pipelines by source (see `compileKernel`). */
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
  /** Resolves with a sentence when the device is lost; never for `close()`. */
  readonly lost: Promise<string>;
  /** Destroys the device and all its buffers. */
  close(): void;
}

const WANTED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
const ADAPTER_OPTIONS: GPURequestAdapterOptions = { powerPreference: 'high-performance' };

/**
 * Asks for the adapter and a device with the adapter's own limits for buffers, bindings and workgroups, and with
 * `shader-f16`, `subgroups` and `timestamp-query` where the adapter has them.
 * Uncaptured validation errors are reported to `onError` (default: console), those of memory by `memory.check()`.
 * @throws GpuError `no-webgpu`, `no-adapter` or `no-device`.
 */
export async function openGpu(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
  onError: (message: string) => void = (message) => console.error(message),
): Promise<Gpu> {
  if (!gpu)
    throw new GpuError('no-webgpu', 'This browser has no WebGPU. Recent desktop Chrome, Edge and Safari do.');
  const adapter = await gpu.requestAdapter(ADAPTER_OPTIONS);
  if (!adapter) {
    throw new GpuError(
      'no-adapter',
      'This browser has WebGPU, but it offers no GPU adapter. Check that hardware acceleration is on.',
    );
  }
  const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature));
  const { limits } = adapter;
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredFeatures,
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
        maxComputeWorkgroupSizeY: limits.maxComputeWorkgroupSizeY,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      },
    });
  } catch (cause) {
    throw new GpuError(
      'no-device',
      `The GPU adapter refused to open a device: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
  const memory = GpuMemory.watch(device);
  device.addEventListener('uncapturederror', (event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    if (error instanceof GPUOutOfMemoryError) memory.fail(0, error.message);
    // What follows from an earlier error, which was told, is no news.
    else if (!/due to a previous error/.test(error.message)) onError(error.message);
  });
  let closed = false;
  const lost = new Promise<string>((resolve) => {
    void device.lost.then((info) => {
      if (closed) return;
      // Words for developers, such as "A valid external Instance reference no longer exists."
      onError(`The GPU device was lost (${info.reason}). ${info.message}`);
      resolve('The system took the GPU away.');
    });
  });
  return {
    device,
    adapter: summarise(adapter),
    f16: requiredFeatures.includes('shader-f16'),
    subgroups: requiredFeatures.includes('subgroups'),
    off: new Set(),
    memory,
    uniforms: new UniformRing(device),
    pipelines: new Map(),
    lost,
    close() {
      closed = true;
      device.destroy();
    },
  };
}

/** What a device would have, before one is opened: f16 in shaders, and the largest tensor. */
export async function adapterOffer(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
): Promise<{ f16: boolean; largest: number }> {
  const adapter = await gpu?.requestAdapter(ADAPTER_OPTIONS);
  return {
    f16: adapter?.features.has('shader-f16') ?? false,
    largest: adapter ? largestTensor(adapter.limits) : Number.POSITIVE_INFINITY,
  };
}

function summarise(adapter: GPUAdapter): AdapterSummary {
  const { info, limits } = adapter;
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description,
    isFallback:
      info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${info.architecture} ${info.description}`),
    features: [...adapter.features].sort(),
    limits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    },
    ...(info.subgroupMinSize ? { subgroupMinSize: info.subgroupMinSize } : {}),
    ...(info.subgroupMaxSize ? { subgroupMaxSize: info.subgroupMaxSize } : {}),
  };
}
