import { cdp } from 'vitest/browser';

/** Bytes of the page's objects and array buffers, garbage included. Chromium only. */
export async function heldBytes(): Promise<number> {
  const { usedSize, backingStorageSize } = await cdp().send('Runtime.getHeapUsage');
  return usedSize + backingStorageSize;
}

/** Collects the page's garbage. */
export async function collectGarbage(): Promise<void> {
  await cdp().send('HeapProfiler.collectGarbage');
}
