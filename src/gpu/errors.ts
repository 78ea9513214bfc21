import { formatBytes } from './format-bytes';

/** Why the GPU cannot be used; `message` is a sentence for the user. */
export type GpuErrorCode =
  | 'no-webgpu'
  | 'no-adapter'
  | 'no-device'
  | 'lost'
  | 'out-of-memory'
  | 'wrong-values';

/** An error of the GPU room. `code` lets the page choose its own wording and way out. */
export class GpuError extends Error {
  override name = 'GpuError';
  constructor(
    readonly code: GpuErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** A buffer that there is no room for. Everything else on the device is as it was. */
export class GpuMemoryError extends GpuError {
  override name = 'GpuMemoryError';
  constructor(
    /** Bytes that were asked for. */
    readonly bytes: number,
    /** What they were for. */
    readonly label: string,
    /** The device allows no buffer of that size, the budget is spent, or the GPU itself had no room. */
    readonly why: 'limit' | 'budget' | 'full',
    /** Bytes in use when it was asked for. */
    readonly usedBytes: number,
    /** The largest buffer that the device allows, or the budget. */
    readonly limitBytes?: number,
  ) {
    super('out-of-memory', sentence(bytes, label, why, usedBytes, limitBytes));
  }
}

function sentence(bytes: number, label: string, why: string, used: number, limit = 0): string {
  const asked = `${formatBytes(bytes)} of GPU memory were asked for (${label})`;
  if (why === 'limit') return `${asked}, and this GPU allows ${formatBytes(limit)} in one buffer.`;
  if (why === 'budget')
    return `${asked}, and ${formatBytes(used)} of the ${formatBytes(limit)} allowed are in use.`;
  return `${asked}, and the GPU has no more room: ${formatBytes(used)} are in use here.`;
}
