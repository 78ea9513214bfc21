import code from '../../shaders/linear/patches.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { type GpuTensor, sizeOf } from '../gpu/tensor';

const MAX_GROUPS = 65_535;

/** Cuts frames into the rows that a patch embedding multiplies: a convolution whose stride is its kernel's size. */
export class CutPatches {
  private constructor(
    private readonly kernel: Kernel,
    private readonly image_size: number,
    private readonly patch_size: number,
  ) {}

  /** Compiles the kernel for frames of `image_size` x `image_size` and patches of `patch_size` x `patch_size`. */
  static async create(gpu: Gpu, image_size: number, patch_size: number): Promise<CutPatches> {
    return new CutPatches(await compileKernel(gpu, { name: 'cut patches', code }), image_size, patch_size);
  }

  /**
   * Records pixels `[T, 3, S, S]`, frames `first..`, -> patches `[frames * P, 3 * patch_size^2]`: as many frames as
   * fill `patches`. P patches of a frame row by row; inside one, channel, y, x.
   */
  record(recorder: Recorder, pixels: GpuTensor, first: number, patches: GpuTensor): void {
    const side = Math.floor(this.image_size / this.patch_size);
    const count = sizeOf(patches.shape);
    const params = new Uint32Array([count, first, this.image_size, this.patch_size, side, 0, 0, 0]);
    const groups = Math.ceil(count / 64);
    const y = Math.ceil(groups / MAX_GROUPS);
    recorder.dispatch(this.kernel, params, [pixels, patches], [Math.ceil(groups / y), y]);
  }
}
