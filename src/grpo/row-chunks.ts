import type { NamedTensors } from '../blocks/block-graph';
import type { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import type { TensorPool } from '../gpu/tensor-pool';

/**
 * Most rows of a block at a time. Its MLP's arrays are the widest of a training step: with the published model's 4,048
 * rows of a question one of them would be 178 MB, and six of them are alive at once on the way back.
 */
export const BLOCK_ROWS = 1024;

/** Runs blocks some rows at a time: between two attentions no row depends on another. */
export class RowChunks {
  constructor(
    private readonly pool: TensorPool,
    private readonly recorder: Recorder,
    private readonly most: number,
  ) {}

  /**
   * Calls `run` with parts of all inputs and outputs, one part after the other, or with themselves where they have few
   * rows. What a run adds up over its rows is its own business.
   * @param inputs `[rows, width]` f32 each, with the same number of rows; so are the outputs.
   */
  async each(
    inputs: NamedTensors,
    outputs: NamedTensors,
    run: (inputs: NamedTensors, outputs: NamedTensors) => Promise<void>,
  ): Promise<void> {
    const rows = Object.values(inputs)[0]!.shape[0]!;
    if (rows <= this.most) return run(inputs, outputs);
    for (let first = 0; first < rows; first += this.most) {
      const count = Math.min(this.most, rows - first);
      const part = ([name, { shape }]: [string, GpuTensor], kind: string) =>
        [name, this.pool.take(`${kind} rows of ${name}`, [count, shape[1]!])] as const;
      const some = Object.fromEntries(Object.entries(inputs).map((input) => part(input, 'some')));
      const made = Object.fromEntries(Object.entries(outputs).map((output) => part(output, 'made')));
      for (const [name, { buffer, shape }] of Object.entries(inputs)) {
        const row = 4 * shape[1]!;
        this.recorder.copy(buffer, first * row, some[name]!.buffer, 0, count * row);
      }
      this.recorder.submit();
      await run(some, made);
      for (const [name, { buffer, shape }] of Object.entries(outputs)) {
        const row = 4 * shape[1]!;
        this.recorder.copy(made[name]!.buffer, 0, buffer, first * row, count * row);
      }
      this.recorder.submit();
    }
  }
}
