import type { Gpu } from './device';
import type { Recorder } from './recorder';

/**
 * Reads small results back a step behind: while the GPU works on the next step, the last one's bytes arrive.
 * `size` reads may be under way at a time.
 */
export class ReadBackRing {
  private readonly slots: { buffer: GPUBuffer; busy: boolean }[];

  /** @param bytes of one read, a multiple of 4. */
  constructor(
    gpu: Gpu,
    private readonly bytes: number,
    size = 3,
  ) {
    this.slots = Array.from({ length: size }, (_, i) => ({
      buffer: gpu.device.createBuffer({
        label: `read back ${i}`,
        size: bytes,
        usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
      }),
      busy: false,
    }));
  }

  /**
   * Records a copy of the first bytes of `source` behind what `recorder` holds, submits, and returns the bytes once
   * they are there.
   * @throws Error when more reads are under way than the ring has slots.
   */
  read(recorder: Recorder, source: GPUBuffer): Promise<ArrayBuffer> {
    const slot = this.slots.find((s) => !s.busy);
    if (!slot) throw new Error('More results are read back at once than the ring has slots.');
    slot.busy = true;
    recorder.copy(source, 0, slot.buffer, 0, this.bytes);
    recorder.submit();
    return slot.buffer.mapAsync(GPUMapMode.READ).then(() => {
      const copy = slot.buffer.getMappedRange().slice(0);
      slot.buffer.unmap();
      slot.busy = false;
      return copy;
    });
  }

  /** Frees the buffers; reads under way fail. */
  destroy(): void {
    for (const { buffer } of this.slots) buffer.destroy();
  }
}
