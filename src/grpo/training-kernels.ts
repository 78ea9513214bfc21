import accumulateCode from '../../shaders/training/accumulate.wgsl?raw';
import gatherCode from '../../shaders/training/gather-rows.wgsl?raw';
import logitsGradCode from '../../shaders/training/logits-grad.wgsl?raw';
import scatterCode from '../../shaders/training/scatter-rows.wgsl?raw';
import logpsCode from '../../shaders/training/token-logps.wgsl?raw';
import { foldGrid } from '../attention/grid';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { type GpuTensor, sizeOf } from '../gpu/tensor';

/** Tokens that rows of logits predict, and what is known of them. */
interface TokenRows {
  /** u32 `[N]`. */
  tokens: GpuTensor;
  /** Of `tokens` and `stats`: what the first row of logits stands for. */
  first: number;
  /** f32 `[N, 4]`. */
  stats: GpuTensor;
  temperature?: number;
}

/** The small kernels of a training step, f32: rows in and out of the head, log-probabilities and their gradient. */
export class TrainingKernels {
  private constructor(
    private readonly kernels: Record<'gather' | 'scatter' | 'logps' | 'logitsGrad' | 'accumulate', Kernel>,
  ) {}

  /** Compiles them. */
  static async create(gpu: Gpu): Promise<TrainingKernels> {
    const make = (name: string, code: string, constants: Record<string, number> = {}) =>
      compileKernel(gpu, { name, code, constants });
    const [gather, scatter, logps, logitsGrad, accumulate] = await Promise.all([
      make('gather rows', gatherCode),
      make('scatter rows', scatterCode),
      make('token logps', logpsCode, { WG: gpu.adapter.isFallback ? 1 : 64 }),
      make('logits gradient', logitsGradCode),
      make('accumulate', accumulateCode),
    ]);
    return new TrainingKernels({
      gather: gather!,
      scatter: scatter!,
      logps: logps!,
      logitsGrad: logitsGrad!,
      accumulate: accumulate!,
    });
  }

  /** y[i] = x[index[first + i]] for the rows of y. index u32 `[N]`, x `[rows, W]`, y `[count, W]`, W a multiple of 4. */
  gather(recorder: Recorder, index: GpuTensor, first: number, x: GpuTensor, y: GpuTensor): void {
    const [count, width] = y.shape as [number, number];
    const params = new Uint32Array([count, width / 4, first]);
    recorder.dispatch(this.kernels.gather, params, [index, x, y], foldGrid((count * width) / 4, 64));
  }

  /** dx[row] = sum of dy[sources[s]] for s from starts[row] to starts[row + 1]. u32 `[rows + 1]`, u32 `[N]`. */
  scatter(recorder: Recorder, starts: GpuTensor, sources: GpuTensor, dy: GpuTensor, dx: GpuTensor): void {
    const [rows, width] = dx.shape as [number, number];
    const params = new Uint32Array([rows, width / 4]);
    recorder.dispatch(
      this.kernels.scatter,
      params,
      [starts, sources, dy, dx],
      foldGrid((rows * width) / 4, 64),
    );
  }

  /**
   * stats[first + i] = (log-probability of tokens[first + i], entropy, largest logit, ln of the sum of exponentials) of
   * the rows of logits at a temperature, 1 where left out. logits `[rows, V]`, tokens u32 `[N]`, stats f32 `[N, 4]`.
   */
  logps(recorder: Recorder, logits: GpuTensor, options: TokenRows): void {
    const { tokens, first, stats, temperature } = options;
    const [rows, vocab] = logits.shape as [number, number];
    const params = withFloat([vocab, first], 1 / (temperature ?? 1));
    recorder.dispatch(this.kernels.logps, params, [logits, tokens, stats], [rows]);
  }

  /**
   * Turns logits into the loss's gradient with respect to them; `gradients` f32 `[N]` is that of the log-probabilities,
   * `stats` what `logps` gave at the same temperature.
   */
  logitsGrad(recorder: Recorder, logits: GpuTensor, options: TokenRows & { gradients: GpuTensor }): void {
    const { tokens, first, stats, gradients, temperature } = options;
    const count = sizeOf(logits.shape);
    const params = withFloat([count, logits.shape[1]!, first], 1 / (temperature ?? 1));
    recorder.dispatch(
      this.kernels.logitsGrad,
      params,
      [tokens, stats, gradients, logits],
      foldGrid(count, 64),
    );
  }

  /** y += x. Sizes equal, a multiple of 4. */
  accumulate(recorder: Recorder, x: GpuTensor, y: GpuTensor): void {
    const n4 = sizeOf(y.shape) / 4;
    recorder.dispatch(this.kernels.accumulate, new Uint32Array([n4]), [x, y], foldGrid(n4, 64));
  }
}

/** Parameters of whole numbers and, behind them, one f32. */
function withFloat(whole: readonly number[], float: number): Uint32Array<ArrayBuffer> {
  const words = Uint32Array.of(...whole, 0);
  new Float32Array(words.buffer)[whole.length] = float;
  return words;
}
