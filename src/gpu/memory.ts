/** Counts the bytes of every buffer that a device creates and destroys: WebGPU itself reports none. */
export class GpuMemory {
  /** Bytes of the buffers alive now. */
  bytes = 0;
  /** Largest value that `bytes` has had since `resetPeak`. */
  peakBytes = 0;
  /** Number of buffers alive now. */
  buffers = 0;

  /**
   * Wraps `createBuffer` of a device, so that buffers made by others on it (ONNX Runtime's) are counted too.
   * A buffer that is dropped without `destroy()` stays counted: that is a leak worth seeing.
   */
  static watch(device: GPUDevice): GpuMemory {
    const memory = new GpuMemory();
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      memory.add(buffer.size);
      const destroy = buffer.destroy.bind(buffer);
      let alive = true;
      buffer.destroy = () => {
        if (alive) memory.remove(buffer.size);
        alive = false;
        return destroy();
      };
      return buffer;
    };
    return memory;
  }

  /** Starts a new peak at the bytes alive now. */
  resetPeak(): void {
    this.peakBytes = this.bytes;
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
