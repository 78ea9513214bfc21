/** Why the GPU cannot be used; `message` is a sentence for the user. */
export type GpuErrorCode = 'no-webgpu' | 'no-adapter' | 'no-device' | 'lost' | 'out-of-memory' | 'limit';

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
