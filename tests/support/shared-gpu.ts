import { type Gpu, openGpu } from '../../src/gpu/device';

let opened: Promise<Gpu> | undefined;
let reported: (message: string) => void = console.error;

/**
 * The device that most test files use one after the other, where they run in one page: a pipeline that several of them
 * need is compiled once. Nothing is switched off on it, its memory has no budget, and `close()` leaves it open.
 * A file that counts all of a device's memory, or destroys it, opens its own.
 * @param onError told of validation errors from now on.
 */
export async function sharedGpu(onError: (message: string) => void = console.error): Promise<Gpu> {
  reported = onError;
  opened ??= openGpu(navigator.gpu, (message) => reported(message));
  const gpu = await opened;
  gpu.memory.budget = Number.POSITIVE_INFINITY;
  return { ...gpu, off: new Set(), close: () => {} };
}
