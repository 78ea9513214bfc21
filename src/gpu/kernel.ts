import type { Gpu } from './device';

/** A compute kernel: WGSL source, and constants that are put before it. */
export interface KernelSource {
  /** For labels and error messages. */
  name: string;
  /** WGSL with the entry point `main`. */
  code: string;
  /**
   * Lines put before the code: a number becomes `const NAME: u32 = n;` (integers) or `: f32` (others),
   * a string becomes `alias NAME = string;` (element types). `f16: true` adds `enable f16;`.
   */
  constants?: Record<string, number | string>;
  f16?: boolean;
  subgroups?: boolean;
}

/** A compiled kernel, ready for `Recorder.dispatch`. */
export interface Kernel {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** The full WGSL of a kernel: directives, constants, code. */
export function kernelCode(source: KernelSource): string {
  const lines: string[] = [];
  if (source.f16) lines.push('enable f16;');
  if (source.subgroups) lines.push('enable subgroups;');
  for (const [name, value] of Object.entries(source.constants ?? {})) {
    if (typeof value === 'string') lines.push(`alias ${name} = ${value};`);
    else if (Number.isInteger(value) && value >= 0) lines.push(`const ${name}: u32 = ${value}u;`);
    else lines.push(`const ${name}: f32 = ${value};`);
  }
  return `${lines.join('\n')}\n${source.code}`;
}

/**
 * Compiles a kernel, or returns the pipeline compiled earlier from the same text.
 * @throws Error with the compiler's messages and the kernel's name.
 */
export async function compileKernel(gpu: Gpu, source: KernelSource): Promise<Kernel> {
  const code = kernelCode(source);
  let pending = gpu.pipelines.get(code);
  if (!pending) {
    pending = compile(gpu.device, source.name, code);
    gpu.pipelines.set(code, pending);
  }
  const pipeline = await pending;
  return { name: source.name, pipeline, layout: pipeline.getBindGroupLayout(0) };
}

async function compile(device: GPUDevice, label: string, code: string): Promise<GPUComputePipeline> {
  // The scope takes the compiler's error, so that it is thrown below and not reported a second time.
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label, code });
  void device.popErrorScope();
  try {
    return await device.createComputePipelineAsync({
      label,
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
    });
  } catch (cause) {
    const info = await module.getCompilationInfo();
    const messages = info.messages
      .map((m) => `${m.type} at ${m.lineNum}:${m.linePos}: ${m.message}`)
      .join('\n');
    throw new Error(`The kernel ${label} did not compile.\n${messages || String(cause)}`);
  }
}
