import type { Gpu } from '../gpu/device';
import type { Recorder } from '../gpu/recorder';
import { type GpuTensor, uploadTensor } from '../gpu/tensor';
import type { TensorPool } from '../gpu/tensor-pool';
import type { Step } from '../model/decoder-steps';
import type { BatchIndex, PolicyBatch } from './policy-batch';
import type { TrainingKernels } from './training-kernels';

/** Logits of the head are made for this many bytes at a time, but at least for so many tokens, and never kept. */
const LOGITS_BYTES = 4 * 2 ** 20;
const LEAST_ROWS = 128;

/** A batch whose rows are computed up to the final norm. */
export interface HeadInput {
  batch: PolicyBatch;
  index: BatchIndex;
  /** After the final norm, `[scored_rows, H]`. */
  final_norm: GpuTensor;
  /** `[N, 4]`: see `TrainingKernels.logps`. */
  stats: GpuTensor;
}

/** The language model's head over the tokens of a batch, forward and backward, a part of the tokens at a time. */
export class PolicyHead {
  constructor(
    private readonly gpu: Gpu,
    private readonly pool: TensorPool,
    private readonly recorder: Recorder,
    private readonly kernels: TrainingKernels,
    private readonly steps: { head: Step; headBackward: Step },
    private readonly vocab_size: number,
    private readonly temperature: number,
  ) {}

  /** Writes `stats`. */
  async forward(input: HeadInput): Promise<void> {
    await this.chunks(input, async (first, _x, logits) => {
      const { temperature } = this;
      const { tokens } = input.index;
      this.kernels.logps(this.recorder, logits, { tokens, first, stats: input.stats, temperature });
      this.recorder.submit();
    });
  }

  /** d_final_norm `[scored_rows, H]` from the gradient of each token's log-probability, `[N]`. */
  async backward(
    input: HeadInput,
    d_logps: Float32Array<ArrayBuffer>,
    d_final_norm: GpuTensor,
  ): Promise<void> {
    const { gpu, pool, recorder, temperature } = this;
    const { index, stats } = input;
    const { graph, weights } = this.steps.headBackward;
    const H = d_final_norm.shape[1]!;
    const N = input.batch.tokens.length;
    const gradients = uploadTensor(gpu, d_logps, [N], 'f32', 'd logps');
    try {
      const d_rows = pool.take('d head rows', [N, H]);
      await this.chunks(input, async (first, x, logits) => {
        this.kernels.logitsGrad(recorder, logits, {
          tokens: index.tokens,
          first,
          stats,
          gradients,
          temperature,
        });
        recorder.submit();
        // The rows themselves are not needed any more: their place takes the gradient.
        await graph.run({ ...weights, d_logits: logits }, { d_final_norm: x });
        recorder.copy(x.buffer, 0, d_rows.buffer, first * H * 4, x.shape[0]! * H * 4);
        recorder.submit();
      });
      this.kernels.scatter(recorder, index.starts, index.sources, d_rows, d_final_norm);
      recorder.submit();
    } finally {
      gradients.buffer.destroy();
    }
  }

  /** Calls back with the logits of a part of the tokens, and the rows they come from. */
  private async chunks(
    { batch, index, final_norm }: HeadInput,
    each: (first: number, x: GpuTensor, logits: GpuTensor) => Promise<void>,
  ): Promise<void> {
    const { pool, recorder } = this;
    const { graph, weights } = this.steps.head;
    const H = final_norm.shape[1]!;
    const V = this.vocab_size;
    const N = batch.tokens.length;
    const rows = Math.max(LEAST_ROWS, Math.floor(LOGITS_BYTES / (4 * V)));
    for (let first = 0; first < N; first += rows) {
      const count = Math.min(rows, N - first);
      const x = pool.take('head rows', [count, H]);
      const logits = pool.take('head logits', [count, V]);
      this.kernels.gather(recorder, index.predictors, first, final_norm, x);
      recorder.submit();
      await graph.run({ ...weights, final_norm: x }, { logits });
      await each(first, x, logits);
    }
  }
}
