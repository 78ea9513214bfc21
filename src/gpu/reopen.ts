import { type Gpu, openGpu } from './device';
import { GpuError } from './errors';

/** Milliseconds between tries: a crashed GPU process takes a moment to start again. */
const PAUSES = [0, 100, 200, 400, 800, 1600, 3200];

/**
 * Opens the GPU after it was lost. Where there is no adapter or no device yet, it tries again for some seconds.
 * @throws GpuError of the last try.
 */
export async function reopenGpu(
  open: () => Promise<Gpu> = openGpu,
  wait: (ms: number) => Promise<void> = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
): Promise<Gpu> {
  let last: unknown;
  for (const pause of PAUSES) {
    await wait(pause);
    try {
      return await open();
    } catch (cause) {
      if (!(cause instanceof GpuError && (cause.code === 'no-adapter' || cause.code === 'no-device')))
        throw cause;
      last = cause;
    }
  }
  throw last;
}
