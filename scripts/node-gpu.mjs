// WebGPU in Node through Dawn (npm `webgpu`), in the form that ONNX Runtime Web accepts.
import { existsSync } from 'node:fs';

const DRIVERS = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
];

/** Path of a Vulkan driver file: the environment's, else Chromium's own SwiftShader; undefined where none is found. */
export function findVulkanDriver() {
  return (
    process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES ?? DRIVERS.find((path) => existsSync(path))
  );
}

/**
 * Installs `navigator.gpu` and the GPU* globals. Returns false where npm `webgpu` has no build for this machine.
 * Chromium's SwiftShader is used where it is installed and nothing else is named, so that tests see one adapter; with
 * `preferSystem` only where the system's own drivers give no adapter.
 */
export async function installNodeGpu({ preferSystem = false } = {}) {
  let dawn;
  try {
    dawn = await import('webgpu');
  } catch {
    return false;
  }
  Object.assign(globalThis, dawn.globals);
  acceptSharedMemory();
  // Timestamps as they are: rounded to 100 µs they are too coarse for a benchmark.
  const create = () =>
    dawn.create(['enable-dawn-features=allow_unsafe_apis', 'disable-dawn-features=timestamp_quantization']);
  let gpu = preferSystem ? create() : undefined;
  if (!gpu || !(await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null))) {
    const driver = findVulkanDriver();
    if (driver) process.env.VK_DRIVER_FILES ??= driver;
    gpu = create();
  }
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu, userAgent: 'node', hardwareConcurrency: 1, language: 'en' },
    configurable: true,
    writable: true,
  });
  return true;
}

/** As `installNodeGpu`, preferring the system's drivers; returns whether there is an adapter. */
export async function hasNodeGpu() {
  if (!(await installNodeGpu({ preferSystem: true }))) return false;
  return (await navigator.gpu.requestAdapter().catch(() => null)) !== null;
}

// ONNX Runtime's heap may be a SharedArrayBuffer; Dawn for Node takes plain buffers alone.
function acceptSharedMemory() {
  const original = GPUQueue.prototype.writeBuffer;
  GPUQueue.prototype.writeBuffer = function (buffer, offset, data, start, size) {
    const memory = ArrayBuffer.isView(data) ? data.buffer : data;
    if (!(memory instanceof SharedArrayBuffer)) return original.call(this, buffer, offset, data, start, size);
    const unit = ArrayBuffer.isView(data) ? (data.BYTES_PER_ELEMENT ?? 1) : 1;
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(memory, data.byteOffset, data.byteLength)
      : new Uint8Array(memory);
    const from = (start ?? 0) * unit;
    const to = size === undefined ? bytes.length : from + size * unit;
    return original.call(this, buffer, offset, bytes.slice(from, to));
  };
}
