import scoresCode from '../../shaders/bench/unfused-scores.wgsl?raw';
import softmaxCode from '../../shaders/bench/unfused-softmax.wgsl?raw';
import valuesCode from '../../shaders/bench/unfused-values.wgsl?raw';
import { foldGrid } from '../attention/grid';
import type { AttentionShape } from '../attention/reference';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor } from '../gpu/tensor';

/** Sequences of equal length, each with its own keys: `[B, rows, Hq, D]` and `[B, keys, Hkv, D]`. */
export interface Sequences {
  count: number;
  rows: number;
  keys: number;
  causal: boolean;
}

/** Plain attention in three kernels, with all scores in memory: what fusing is measured against. */
export class UnfusedAttention {
  private constructor(
    private readonly shape: AttentionShape,
    private readonly sequences: Sequences,
    private readonly kernels: readonly [Kernel, Kernel, Kernel],
    private readonly scores: GpuTensor,
  ) {}

  /** Bytes of the scores. */
  static bytes({ q_heads }: AttentionShape, { count, rows, keys }: Sequences): number {
    return 4 * count * q_heads * rows * keys;
  }

  /** Compiles the kernels and allocates the scores. @throws GpuMemoryError where there is no room for them. */
  static async create(gpu: Gpu, shape: AttentionShape, sequences: Sequences): Promise<UnfusedAttention> {
    const { q_heads, kv_heads, head_dim } = shape;
    const constants = { D: head_dim, Q_HEADS: q_heads, KV_HEADS: kv_heads };
    const kernels = await Promise.all([
      compileKernel(gpu, { name: 'unfused scores', code: scoresCode, constants }),
      compileKernel(gpu, {
        name: 'unfused softmax',
        code: softmaxCode,
        constants: { LANES: gpu.adapter.isFallback ? 1 : 64 },
      }),
      compileKernel(gpu, { name: 'unfused values', code: valuesCode, constants }),
    ]);
    const { count, rows, keys } = sequences;
    const scores = createTensor(gpu, [count, q_heads, rows, keys], 'f32', 'scores');
    const unfused = new UnfusedAttention(shape, sequences, kernels, scores);
    try {
      await gpu.memory.check();
    } catch (cause) {
      unfused.destroy();
      throw cause;
    }
    return unfused;
  }

  /** Records o = softmax(scale q k^T) v, scale = D^-0.5. */
  record(recorder: Recorder, q: GpuTensor, k: GpuTensor, v: GpuTensor, o: GpuTensor): void {
    const { q_heads, head_dim } = this.shape;
    const { count, rows, keys, causal } = this.sequences;
    const [scores, softmax, values] = this.kernels;
    const params = (threads: number) => {
      const view = new DataView(new ArrayBuffer(32));
      view.setFloat32(0, head_dim ** -0.5, true);
      for (const [i, word] of [rows, keys, causal ? 1 : 0, threads].entries())
        view.setUint32(4 + 4 * i, word, true);
      return view;
    };
    const scoreRows = count * q_heads * rows;
    const outputs = (scoreRows * head_dim) / 4;
    recorder.dispatch(scores, params(scoreRows * keys), [q, k, this.scores], foldGrid(scoreRows * keys, 64));
    recorder.dispatch(softmax, params(scoreRows), [this.scores], foldGrid(scoreRows, 1));
    recorder.dispatch(values, params(outputs), [this.scores, v, o], foldGrid(outputs, 64));
  }

  /** Frees the scores. */
  destroy(): void {
    this.scores.buffer.destroy();
  }
}
