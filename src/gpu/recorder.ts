import type { Gpu } from './device';
import type { Kernel } from './kernel';
import { type RecordedDispatch, Recording } from './recording';
import type { GpuTensor } from './tensor';
import { UniformRing } from './uniforms';

/** What a binding of a dispatch may be: a tensor, a whole buffer, or a range of one. */
export type Binding = GpuTensor | GPUBuffer | GPUBufferBinding;

/**
 * Records dispatches and copies for one submit. Dispatches run in order, each seeing what the one before wrote.
 * Convention of all kernels: binding 0 of group 0 is the uniform block, 1.. are the storage bindings in order.
 */
export class Recorder {
  private readonly gpu: Gpu;
  private readonly label: string;
  private encoder: GPUCommandEncoder;
  private pass: GPUComputePassEncoder | undefined;
  private blocks = 0;
  /** Set while dispatches are captured. */
  private captured: RecordedDispatch[] | undefined;

  constructor(gpu: Gpu, label: string) {
    this.gpu = gpu;
    this.label = label;
    this.encoder = gpu.device.createCommandEncoder({ label });
  }

  /**
   * Adds a dispatch of `grid` workgroups. `params` (up to 256 bytes) becomes the uniform block.
   * Where a recorder has used up the uniform ring, what was recorded so far is submitted first.
   * @param slot of a dispatch that is captured and whose uniform block and grid change from one replay to the next: the
   * number by which `Recording.set` changes them.
   */
  dispatch(
    kernel: Kernel,
    params: ArrayBuffer | ArrayBufferView<ArrayBuffer>,
    bindings: readonly Binding[],
    grid: readonly [number, number?, number?],
    slot?: number,
  ): void {
    if (this.captured) {
      const block = ArrayBuffer.isView(params)
        ? new Uint8Array(params.buffer, params.byteOffset, params.byteLength)
        : new Uint8Array(params);
      this.captured.push({
        kernel,
        block: block.slice(),
        resources: bindings.map(resource),
        grid: [grid[0], grid[1] ?? 1, grid[2] ?? 1],
        slot,
      });
      return;
    }
    if (this.blocks >= UniformRing.slots - 1) this.submit();
    this.blocks += 1;
    const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: this.gpu.uniforms.write(params) }];
    for (const [i, binding] of bindings.entries())
      entries.push({ binding: i + 1, resource: resource(binding) });
    const group = this.gpu.device.createBindGroup({ label: kernel.name, layout: kernel.layout, entries });
    this.pass ??= this.encoder.beginComputePass({ label: this.label });
    this.pass.setPipeline(kernel.pipeline);
    this.pass.setBindGroup(0, group);
    this.pass.dispatchWorkgroups(grid[0], grid[1] ?? 1, grid[2] ?? 1);
  }

  /** Adds a copy of `bytes` (a multiple of 4) between two buffers. */
  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.noCapture();
    this.endPass();
    this.encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  /** Adds zeros for `bytes` (a multiple of 4) of a buffer. */
  clear(buffer: GPUBuffer, offset: number, bytes: number): void {
    if (bytes === 0) return;
    this.noCapture();
    this.endPass();
    this.encoder.clearBuffer(buffer, offset, bytes);
  }

  /** Submits everything recorded; the recorder can be used again. */
  submit(): void {
    this.noCapture();
    this.endPass();
    this.gpu.device.queue.submit([this.encoder.finish()]);
    this.encoder = this.gpu.device.createCommandEncoder({ label: this.label });
    this.blocks = 0;
  }

  /**
   * Keeps the dispatches that `work` records, to be issued again and again by `replay`; none is issued now. Whoever asked
   * for them keeps the buffers alive and destroys the recording.
   * @throws Error where `work` copies, clears or submits.
   */
  capture(work: () => void): Recording {
    const dispatches: RecordedDispatch[] = [];
    this.captured = dispatches;
    try {
      work();
    } finally {
      this.captured = undefined;
    }
    return new Recording(this.gpu.device, this.label, dispatches);
  }

  /** Adds the dispatches of a recording. Submit before it is changed or replayed again. */
  replay(recording: Recording): void {
    this.noCapture();
    this.pass ??= this.encoder.beginComputePass({ label: this.label });
    recording.encode(this.pass);
  }

  /** Forgets everything recorded since the last submit, after an error in the middle of it. */
  discard(): void {
    this.pass = undefined;
    this.encoder = this.gpu.device.createCommandEncoder({ label: this.label });
    this.blocks = 0;
  }

  private noCapture(): void {
    if (this.captured) throw new Error(`${this.label}: only dispatches can be captured.`);
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = undefined;
  }
}

function resource(binding: Binding): GPUBindingResource {
  if ('shape' in binding) return { buffer: binding.buffer };
  if ('buffer' in binding) return binding;
  return { buffer: binding };
}
