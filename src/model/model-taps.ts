import type { Gpu } from '../gpu/device';
import { type GpuTensor, readF32 } from '../gpu/tensor';

/**
 * Receives an intermediate result for verification. The tensor is valid until the returned promise resolves; a stage
 * that is computed in parts calls it once a part, in row order.
 */
export type Tap = (name: string, tensor: GpuTensor) => Promise<void>;

/** Reads tapped tensors back and joins the parts of each name. */
export class TapRecorder {
  private readonly parts = new Map<string, Float32Array<ArrayBuffer>[]>();

  constructor(private readonly gpu: Gpu) {}

  /** To be passed as a `Tap`. */
  readonly tap: Tap = async (name, tensor) => {
    const part = await readF32(this.gpu, tensor);
    const parts = this.parts.get(name);
    if (parts) parts.push(part);
    else this.parts.set(name, [part]);
  };

  /** Names in the order in which they first came. */
  names(): string[] {
    return [...this.parts.keys()];
  }

  /** All rows of a stage. Throws where nothing was tapped under that name. */
  get(name: string): Float32Array<ArrayBuffer> {
    const parts = this.parts.get(name);
    if (!parts) throw new Error(`No stage ${name} was recorded.`);
    const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
