import type { Gpu } from '../gpu/device';

/** Compute passes that one timer can hold: a query set has 4,096 places at most. */
const MAX_PASSES = 2048;

/**
 * GPU time of everything that is submitted to a device between `start` and `stop`, ONNX Runtime's work included: the
 * sum over its compute passes of the time from a pass's begin to its end, by timestamp queries. What the CPU takes to
 * issue the work, and gaps between passes, do not count. Copies outside of passes are not seen.
 */
export class PassTimer {
  private passes = 0;
  private readonly create: GPUDevice['createCommandEncoder'];

  private constructor(
    private readonly device: GPUDevice,
    private readonly queries: GPUQuerySet,
    private readonly resolved: GPUBuffer,
    private readonly staging: GPUBuffer,
  ) {
    this.create = device.createCommandEncoder.bind(device);
  }

  /** A timer, or undefined where the device has no `timestamp-query`. */
  static create(gpu: Gpu): PassTimer | undefined {
    const { device } = gpu;
    if (!device.features.has('timestamp-query')) return undefined;
    const size = 16 * MAX_PASSES;
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    return new PassTimer(
      device,
      device.createQuerySet({ type: 'timestamp', count: 2 * MAX_PASSES }),
      device.createBuffer({ label: 'timestamps', size, usage: QUERY_RESOLVE | COPY_SRC }),
      device.createBuffer({ label: 'timestamps read', size, usage: COPY_DST | MAP_READ }),
    );
  }

  /** From here on every compute pass that is begun gets its two timestamps. */
  start(): void {
    this.passes = 0;
    this.device.createCommandEncoder = (descriptor) => {
      const encoder = this.create(descriptor);
      const begin = encoder.beginComputePass.bind(encoder);
      encoder.beginComputePass = (pass = {}) => {
        const i = this.passes++;
        if (i >= MAX_PASSES || pass.timestampWrites) return begin(pass);
        return begin({
          ...pass,
          timestampWrites: {
            querySet: this.queries,
            beginningOfPassWriteIndex: 2 * i,
            endOfPassWriteIndex: 2 * i + 1,
          },
        });
      };
      return encoder;
    };
  }

  /**
   * Ends the timing and waits for the GPU.
   * @returns milliseconds; undefined where there were too many passes, or none, or the GPU wrote no times.
   */
  async stop(): Promise<number | undefined> {
    this.device.createCommandEncoder = this.create;
    const { passes, device } = this;
    if (passes === 0 || passes > MAX_PASSES) return undefined;
    const encoder = device.createCommandEncoder({ label: 'timestamps' });
    encoder.resolveQuerySet(this.queries, 0, 2 * passes, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, 16 * passes);
    device.queue.submit([encoder.finish()]);
    await this.staging.mapAsync(GPUMapMode.READ, 0, 16 * passes);
    const times = new BigUint64Array(this.staging.getMappedRange(0, 16 * passes).slice(0));
    this.staging.unmap();
    let nanoseconds = 0;
    for (let i = 0; i < passes; i++) nanoseconds += Number(times[2 * i + 1]! - times[2 * i]!);
    return nanoseconds > 0 ? nanoseconds / 1e6 : undefined;
  }

  /** Frees queries and buffers. */
  destroy(): void {
    this.queries.destroy();
    this.resolved.destroy();
    this.staging.destroy();
  }
}
