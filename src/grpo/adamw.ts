import adamwCode from '../../shaders/training/adamw.wgsl?raw';
import squaresCode from '../../shaders/training/sum-squares.wgsl?raw';
import { foldGrid } from '../attention/grid';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readF32, sizeOf, writeTensor } from '../gpu/tensor';
import { type AdamWConfig, DEFAULT_ADAMW } from './adamw-config';

/** What a step did. */
export interface OptimiserStep {
  /** Global norm of the gradients before clipping. */
  grad_norm: number;
  /** False where the norm is not finite: nothing was changed. */
  applied: boolean;
}

/** The optimiser's state, read back for a checkpoint. */
export interface OptimiserState {
  step: number;
  /** First and second moments by tensor name. */
  m: Map<string, Float32Array<ArrayBuffer>>;
  v: Map<string, Float32Array<ArrayBuffer>>;
}

/** AdamW over named tensors on the GPU, all f32 and in place. */
export class AdamW {
  /** Steps applied. */
  step = 0;
  private readonly recorder: Recorder;
  private readonly sums: GpuTensor;
  private readonly moments: ReadonlyMap<string, { m: GpuTensor; v: GpuTensor }>;

  private constructor(
    private readonly gpu: Gpu,
    private readonly weights: ReadonlyMap<string, GpuTensor>,
    private readonly config: AdamWConfig,
    private readonly kernels: { adamw: Kernel; squares: Kernel },
  ) {
    this.recorder = new Recorder(gpu, 'adamw');
    this.sums = createTensor(gpu, [weights.size], 'f32', 'gradient squares');
    this.moments = new Map(
      [...weights].map(([name, { shape }]) => [
        name,
        { m: createTensor(gpu, shape, 'f32', `m ${name}`), v: createTensor(gpu, shape, 'f32', `v ${name}`) },
      ]),
    );
  }

  /** Compiles the kernels and allocates the moments, all zero. The weights stay with their owner. */
  static async create(
    gpu: Gpu,
    weights: ReadonlyMap<string, GpuTensor>,
    config: AdamWConfig = DEFAULT_ADAMW,
  ): Promise<AdamW> {
    const [adamw, squares] = await Promise.all([
      compileKernel(gpu, { name: 'adamw', code: adamwCode }),
      compileKernel(gpu, {
        name: 'sum of squares',
        code: squaresCode,
        constants: { WG: gpu.adapter.isFallback ? 1 : 256 },
      }),
    ]);
    return new AdamW(gpu, weights, config, { adamw, squares });
  }

  /**
   * One step at a learning rate, with the gradient of every tensor by its name. The sums of squares are read back: once
   * a step, so that a gradient that is not finite stops the step and not the run.
   */
  async apply(gradients: ReadonlyMap<string, GpuTensor>, learning_rate: number): Promise<OptimiserStep> {
    const { recorder, config } = this;
    for (const [slot, name] of [...this.weights.keys()].entries()) {
      const gradient = gradients.get(name);
      if (!gradient) throw new Error(`The optimiser was given no gradient of ${name}.`);
      const params = new Uint32Array([sizeOf(gradient.shape), slot]);
      recorder.dispatch(this.kernels.squares, params, [gradient, this.sums], [1]);
    }
    recorder.submit();
    const squares = (await readF32(this.gpu, this.sums)).reduce((sum, square) => sum + square, 0);
    const grad_norm = Math.sqrt(squares);
    if (!Number.isFinite(grad_norm)) return { grad_norm, applied: false };
    this.step += 1;
    const { adam_beta1, adam_beta2, adam_epsilon, weight_decay, max_grad_norm } = config;
    const params = new DataView(new ArrayBuffer(32));
    for (const [i, value] of [
      // torch.nn.utils.clip_grad_norm_ adds the 1e-6.
      max_grad_norm > 0 ? Math.min(1, max_grad_norm / (grad_norm + 1e-6)) : 1,
      adam_beta1,
      adam_beta2,
      adam_epsilon,
      1 - learning_rate * weight_decay,
      learning_rate / (1 - adam_beta1 ** this.step),
      Math.sqrt(1 - adam_beta2 ** this.step),
    ].entries())
      params.setFloat32(4 + 4 * i, value, true);
    for (const [name, weight] of this.weights) {
      const count = sizeOf(weight.shape);
      params.setUint32(0, count, true);
      const { m, v } = this.moments.get(name)!;
      recorder.dispatch(
        this.kernels.adamw,
        params,
        [gradients.get(name)!, weight, m, v],
        foldGrid(count, 64),
      );
    }
    recorder.submit();
    return { grad_norm, applied: true };
  }

  /** Reads the state back. */
  async read(): Promise<OptimiserState> {
    const state: OptimiserState = { step: this.step, m: new Map(), v: new Map() };
    for (const [name, { m, v }] of this.moments) {
      state.m.set(name, await readF32(this.gpu, m));
      state.v.set(name, await readF32(this.gpu, v));
    }
    return state;
  }

  /** Goes on from a state. @throws Error where a tensor's moments are missing. */
  restore(state: OptimiserState): void {
    for (const [name, { m, v }] of this.moments) {
      const [first, second] = [state.m.get(name), state.v.get(name)];
      if (first?.length !== sizeOf(m.shape) || second?.length !== sizeOf(v.shape))
        throw new Error(`The saved optimiser has no moments of ${name} of that size.`);
      writeTensor(this.gpu, m, first);
      writeTensor(this.gpu, v, second);
    }
    this.step = state.step;
  }

  /** Frees the moments. */
  destroy(): void {
    for (const { m, v } of this.moments.values()) {
      m.buffer.destroy();
      v.buffer.destroy();
    }
    this.sums.buffer.destroy();
  }
}
