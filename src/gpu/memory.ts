import { GpuMemoryError } from './errors';

/** Buffers from this size up are created under an error scope: smaller ones fail only where all is lost. */
const SCOPED_BYTES = 2 ** 20;

/** A buffer that may be larger than one binding, where all its uses bind ranges of it. */
export interface RangedBufferDescriptor extends GPUBufferDescriptor {
  ranged?: boolean;
}

/**
 * Counts the bytes of every buffer that a device creates and destroys (WebGPU itself reports none), and notices the
 * ones that there is no room for. Creating a buffer never throws: it gives an invalid one, and `check` tells of it.
 */
export class GpuMemory {
  /** Bytes of the buffers alive now. */
  bytes = 0;
  /** Largest value that `bytes` has had since `resetPeak`. */
  peakBytes = 0;
  /** Number of buffers alive now. */
  buffers = 0;
  /** Bytes that may be alive at once; what would go beyond is refused. Default: no limit but the device's own. */
  budget = Number.POSITIVE_INFINITY;

  /**
   * How often there was no room, so far. A buffer that outlives an error is there if this has not changed between its
   * making and a time when nothing was in doubt.
   */
  failures = 0;

  private failure: GpuMemoryError | undefined;
  private readonly unsettled = new Set<Promise<void>>();

  private constructor(
    private readonly device: GPUDevice,
    /** `createBuffer` as it was. */
    private readonly create: GPUDevice['createBuffer'],
  ) {}

  /** Wraps `createBuffer` of a device, so that buffers made by others on it (ONNX Runtime's) are counted too. */
  static watch(device: GPUDevice): GpuMemory {
    const memory = new GpuMemory(device, device.createBuffer.bind(device));
    device.createBuffer = (descriptor) => memory.createBuffer(descriptor);
    return memory;
  }

  /** Whether `check` would wait or throw: nothing is in doubt after it until something large is allocated. */
  get inDoubt(): boolean {
    return this.failure !== undefined || this.unsettled.size > 0;
  }

  /**
   * Waits until it is known whether all buffers created so far are there. To be awaited after allocating and before
   * use. Only the first failure is told, once.
   * @throws GpuMemoryError for a buffer larger than the device allows, beyond the budget, or that the GPU refused.
   */
  async check(): Promise<void> {
    while (this.unsettled.size > 0) await Promise.all(this.unsettled);
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
  }

  /** Starts a new peak at the bytes alive now. */
  resetPeak(): void {
    this.peakBytes = this.bytes;
  }

  /** Takes note of a failure that no error scope has caught. */
  fail(bytes: number, label: string): void {
    this.note(new GpuMemoryError(bytes, label, 'full', this.bytes));
  }

  /** A buffer that is dropped without `destroy()` stays counted: that is a leak worth seeing. */
  private createBuffer(descriptor: RangedBufferDescriptor): GPUBuffer {
    const { size, usage, label = 'a buffer', ranged = false } = descriptor;
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const bound = usage & GPUBufferUsage.STORAGE && !ranged;
    const limit = bound ? Math.min(maxBufferSize, maxStorageBufferBindingSize) : maxBufferSize;
    if (size > limit) return this.refuse(descriptor, 'limit', limit);
    if (this.bytes + size > this.budget) return this.refuse(descriptor, 'budget', this.budget);
    const scoped = size >= SCOPED_BYTES;
    if (scoped) this.device.pushErrorScope('out-of-memory');
    const buffer = this.create(descriptor);
    this.add(size);
    let alive = true;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      if (alive) this.remove(size);
      alive = false;
      return destroy();
    };
    if (scoped) {
      const used = this.bytes - size;
      const settled: Promise<void> = this.device
        .popErrorScope()
        .then((error) => {
          if (error) this.note(new GpuMemoryError(size, label, 'full', used));
        })
        // Only a lost device rejects, and that is told elsewhere.
        .catch(() => undefined)
        .finally(() => this.unsettled.delete(settled));
      this.unsettled.add(settled);
    }
    return buffer;
  }

  /** An invalid buffer in the place of one that would be too large. Nothing is allocated. */
  private refuse(descriptor: GPUBufferDescriptor, why: 'limit' | 'budget', limit: number): GPUBuffer {
    const { size, label = 'a buffer' } = descriptor;
    this.note(new GpuMemoryError(size, label, why, this.bytes, limit));
    this.device.pushErrorScope('validation');
    const buffer = this.create({ ...descriptor, size: this.device.limits.maxBufferSize + 4 });
    void this.device.popErrorScope().catch(() => undefined);
    return buffer;
  }

  private note(failure: GpuMemoryError): void {
    this.failure ??= failure;
    this.failures += 1;
  }

  private add(bytes: number): void {
    this.bytes += bytes;
    this.buffers += 1;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
  }

  private remove(bytes: number): void {
    this.bytes -= bytes;
    this.buffers -= 1;
  }
}
