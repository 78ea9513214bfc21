import planesToRgbCode from '../../shaders/video/planes-to-rgb.wgsl?raw';
import horizontalCode from '../../shaders/video/resize-horizontal.wgsl?raw';
import verticalCode from '../../shaders/video/resize-vertical.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel, type KernelSource, kernelCode } from '../gpu/kernel';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readTensor, uploadTensor, writeTensor } from '../gpu/tensor';
import { VideoError } from './errors';
import { type FramePixels, pixelsOfRgb } from './frame-pixels';
import { type PlaneConstants, planeConstants, planeParams, USUAL_CONSTANTS } from './plane-params';
import { resizeCoefficients } from './resize-coefficients';
import { type Normalisation, pixelValueTable, type RgbImage, SIGLIP_NORMALISATION } from './resize-reference';

interface Axis {
  bounds: GpuTensor;
  weights: GpuTensor;
  taps: number;
}

/** Buffers for frames of one size; kept until a frame of another size comes. */
interface Scratch {
  key: string;
  width: number;
  height: number;
  planes: GpuTensor;
  rgb: GpuTensor;
  across: GpuTensor;
  x: Axis;
  y: Axis;
}

/**
 * SigLIP's image processing on the GPU: colour conversion, Pillow's bicubic resize to S x S, rescale and normalise.
 * Bit for bit what `preprocessReference` gives for the same RGB bytes.
 */
export class Preprocessor {
  private scratch: Scratch | undefined;

  private constructor(
    private readonly gpu: Gpu,
    /** S: rows and columns of the pixel values. */
    readonly size: number,
    private readonly kernels: { horizontal: Kernel; vertical: Kernel },
    private readonly table: GpuTensor,
    private readonly bright: GpuTensor,
    private readonly resized: GpuTensor,
  ) {}

  /** Compiles the kernels for pictures of `size` x `size`, normalised as a checkpoint's preprocessor_config.json says. */
  static async create(
    gpu: Gpu,
    size: number,
    normalisation: Normalisation = SIGLIP_NORMALISATION,
  ): Promise<Preprocessor> {
    const [horizontal, vertical, usual] = await Promise.all([
      compileKernel(gpu, { name: 'resize-horizontal', code: horizontalCode }),
      compileKernel(gpu, { name: 'resize-vertical', code: verticalCode }),
      compileKernel(gpu, planesToRgbSource(USUAL_CONSTANTS)),
    ]);
    variantsOf(gpu).set(kernelCode(planesToRgbSource(USUAL_CONSTANTS)), usual);
    return new Preprocessor(
      gpu,
      size,
      { horizontal, vertical },
      uploadTensor(gpu, pixelValueTable(normalisation), [2, 3, 256], 'f32', 'pixel value table'),
      createTensor(gpu, [1], 'u32', 'bright flag'),
      createTensor(gpu, [size, size, 4], 'u8', 'resized frame'),
    );
  }

  /**
   * Writes the pixel values of one frame into `pixelValues[t]` and submits; nothing is waited for.
   * @param source a frame's bytes (`readPixels`) or an RGB picture.
   * @param pixelValues f32 [T, 3, S, S].
   * @throws RangeError where `t` or the shape does not fit; VideoError `too-large` where the GPU's buffers do not hold
   * the frame.
   */
  run(source: FramePixels | RgbImage, pixelValues: GpuTensor, t: number): void {
    const frame = 'layout' in source ? source : pixelsOfRgb(source.width, source.height, source.data);
    const { gpu, size } = this;
    const [frames = 0, ...picture] = pixelValues.shape;
    if (picture.join() !== `3,${size},${size}` || t < 0 || t >= frames)
      throw new RangeError(
        `Frame ${t} of ${size} x ${size} does not fit pixel values of shape [${pixelValues.shape.join(', ')}].`,
      );
    const planesToRgb = this.planesToRgb(planeConstants(frame));
    const scratch = this.prepare(frame);
    writeTensor(gpu, scratch.planes, frame.data);
    writeTensor(gpu, this.bright, new Uint32Array([0]));
    const recorder = new Recorder(gpu, 'preprocess frame');
    const groups = (n: number) => Math.ceil(n / 8);
    recorder.dispatch(
      planesToRgb,
      planeParams(frame),
      [scratch.planes, scratch.rgb, this.bright],
      [groups(scratch.width), groups(scratch.height)],
    );
    recorder.dispatch(
      this.kernels.horizontal,
      new Uint32Array([scratch.width, scratch.height, size, scratch.x.taps]),
      [scratch.rgb, scratch.x.bounds, scratch.x.weights, scratch.across],
      [groups(size), groups(scratch.height)],
    );
    recorder.dispatch(
      this.kernels.vertical,
      new Uint32Array([size, scratch.y.taps, t * 3 * size * size, 0]),
      [
        scratch.across,
        scratch.y.bounds,
        scratch.y.weights,
        this.table,
        this.bright,
        this.resized,
        pixelValues,
      ],
      [groups(size), groups(size)],
    );
    recorder.submit();
  }

  /** The last frame after the resize, RGB [S, S, 3]. For tests and pictures of what the model sees. */
  async readResized(): Promise<RgbImage> {
    return dropAlpha(this.size, this.size, await readTensor(this.gpu, this.resized));
  }

  /** The last frame after colour conversion and rotation, RGB [H, W, 3]. For tests. */
  async readSource(): Promise<RgbImage> {
    if (!this.scratch) throw new Error('No frame was given yet.');
    const { width, height, rgb } = this.scratch;
    return dropAlpha(width, height, await readTensor(this.gpu, rgb));
  }

  /** Frees all buffers. */
  destroy(): void {
    this.dropScratch();
    for (const tensor of [this.table, this.bright, this.resized]) tensor.buffer.destroy();
  }

  /** The kernel for a format. One not seen before is created without waiting: the GPU's own queue waits for it. */
  private planesToRgb(constants: PlaneConstants): Kernel {
    const source = planesToRgbSource(constants);
    const code = kernelCode(source);
    const variants = variantsOf(this.gpu);
    let kernel = variants.get(code);
    if (!kernel) {
      const { device } = this.gpu;
      const module = device.createShaderModule({ label: source.name, code });
      const pipeline = device.createComputePipeline({
        label: source.name,
        layout: 'auto',
        compute: { module, entryPoint: 'main' },
      });
      kernel = { name: source.name, pipeline, layout: pipeline.getBindGroupLayout(0) };
      variants.set(code, kernel);
    }
    return kernel;
  }

  private prepare(frame: FramePixels): Scratch {
    const sideways = frame.rotation % 180 !== 0;
    const width = sideways ? frame.height : frame.width;
    const height = sideways ? frame.width : frame.height;
    const key = `${width}x${height}:${frame.data.length}`;
    if (this.scratch?.key === key) return this.scratch;
    this.dropScratch();
    const { gpu, size } = this;
    const largest = Math.max(width * height * 4, frame.data.length, height * size * 4);
    if (largest > gpu.adapter.limits.maxStorageBufferBindingSize)
      throw new VideoError(
        'too-large',
        `Pictures of ${width} x ${height} pixels are too large for this GPU.`,
        'Scale the video down, to 1080p say, and drop it again.',
      );
    const axis = (n: number, label: string): Axis => {
      const { bounds, weights, taps } = resizeCoefficients(n, size);
      return {
        bounds: uploadTensor(gpu, bounds, [size, 2], 'i32', `${label} bounds`),
        weights: uploadTensor(gpu, weights, [size, taps], 'i32', `${label} weights`),
        taps,
      };
    };
    this.scratch = {
      key,
      width,
      height,
      planes: createTensor(gpu, [frame.data.length], 'u8', 'frame planes'),
      rgb: createTensor(gpu, [height, width, 4], 'u8', 'frame rgb'),
      across: createTensor(gpu, [height, size, 4], 'u8', 'frame resized across'),
      x: axis(width, 'horizontal'),
      y: axis(height, 'vertical'),
    };
    return this.scratch;
  }

  private dropScratch(): void {
    if (!this.scratch) return;
    const { planes, rgb, across, x, y } = this.scratch;
    for (const tensor of [planes, rgb, across, x.bounds, x.weights, y.bounds, y.weights])
      tensor.buffer.destroy();
    this.scratch = undefined;
  }
}

/** Variants of planes-to-rgb.wgsl that a device has, by their code. */
const VARIANTS = new WeakMap<Gpu, Map<string, Kernel>>();

function variantsOf(gpu: Gpu): Map<string, Kernel> {
  let variants = VARIANTS.get(gpu);
  if (!variants) {
    variants = new Map();
    VARIANTS.set(gpu, variants);
  }
  return variants;
}

function planesToRgbSource(constants: PlaneConstants): KernelSource {
  return { name: 'planes-to-rgb', code: planesToRgbCode, constants };
}

function dropAlpha(width: number, height: number, rgba: ArrayLike<number>): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[i * 3 + c] = rgba[i * 4 + c]!;
  return { width, height, data };
}
