const SLOT_BYTES = 256;
const SLOTS = 4096;

/**
 * A ring of 256-byte uniform slots in one buffer. Writes are ordered with submits on the queue, so a slot may be
 * reused once the recorder that used it was submitted; one recorder may hold at most `SLOTS` of them.
 */
export class UniformRing {
  static readonly slots = SLOTS;
  private readonly device: GPUDevice;
  private buffer: GPUBuffer | undefined;
  private next = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Writes up to 256 bytes and returns their binding. */
  write(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): GPUBufferBinding {
    if (data.byteLength > SLOT_BYTES)
      throw new Error(`A uniform block has ${data.byteLength} bytes; the slot has ${SLOT_BYTES}.`);
    this.buffer ??= this.device.createBuffer({
      label: 'uniforms',
      size: SLOT_BYTES * SLOTS,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const offset = this.next * SLOT_BYTES;
    this.next = (this.next + 1) % SLOTS;
    // As bytes: Dawn for Node takes no DataView.
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : data;
    this.device.queue.writeBuffer(this.buffer, offset, bytes);
    return { buffer: this.buffer, offset, size: Math.max(16, Math.ceil(data.byteLength / 16) * 16) };
  }
}
