import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import { uploadTensor } from '../gpu/tensor';

/**
 * A question and its answers as one forward pass: the prompt once, then each answer's tokens behind it. The rows of an
 * answer are its tokens but for the last, which predicts nothing; the prompt's last row predicts every first token.
 */
export interface PolicyBatch {
  readonly tree: SegmentTree;
  readonly runs: readonly QueryRun[];
  /** Rows of the pass. */
  readonly rows: number;
  readonly prompt_rows: number;
  /** Tokens of all answers, one behind the other. */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** The row that predicts each of them. */
  readonly predictors: Uint32Array<ArrayBuffer>;
  /** Where each answer begins in `tokens`, and the end of the last. */
  readonly offsets: readonly number[];
  /** Token ids of the rows behind the prompt. */
  readonly row_tokens: Int32Array<ArrayBuffer>;
}

/** Lays out a group. @throws Error where an answer has no token. */
export function policyBatch(prompt_rows: number, completions: readonly (readonly number[])[]): PolicyBatch {
  const tree = new SegmentTree();
  const prompt = tree.add({ parent: -1, capacity: prompt_rows, causal: true });
  tree.append(prompt, prompt_rows);
  const runs: QueryRun[] = [{ row: 0, count: prompt_rows, segment: prompt, offset: 0 }];
  const offsets = [0];
  const predictors: number[] = [];
  const row_tokens: number[] = [];
  let row = prompt_rows;
  for (const completion of completions) {
    if (completion.length === 0) throw new Error('An answer without tokens cannot be trained on.');
    predictors.push(prompt_rows - 1);
    const count = completion.length - 1;
    if (count > 0) {
      const segment = tree.add({ parent: prompt, capacity: count, causal: true });
      tree.append(segment, count);
      runs.push({ row, count, segment, offset: 0 });
      for (let i = 0; i < count; i++) {
        predictors.push(row + i);
        row_tokens.push(completion[i]!);
      }
      row += count;
    }
    offsets.push(offsets.at(-1)! + completion.length);
  }
  return {
    tree,
    runs,
    rows: row,
    prompt_rows,
    tokens: Int32Array.from(completions.flat()),
    predictors: Uint32Array.from(predictors),
    offsets,
    row_tokens: Int32Array.from(row_tokens),
  };
}

/** The sources of each row's gradient, for `TrainingKernels.scatter`: the tokens that it predicts, in their order. */
export function scatterPlan(
  rows: number,
  predictors: ArrayLike<number>,
): { starts: Uint32Array<ArrayBuffer>; sources: Uint32Array<ArrayBuffer> } {
  const starts = new Uint32Array(rows + 1);
  for (let i = 0; i < predictors.length; i++) starts[predictors[i]! + 1]! += 1;
  for (let row = 0; row < rows; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  const sources = new Uint32Array(predictors.length);
  for (let i = 0; i < predictors.length; i++) sources[next[predictors[i]!]!++] = i;
  return { starts, sources };
}

/** A batch's index lists on the GPU. */
export interface BatchIndex {
  tokens: GpuTensor;
  predictors: GpuTensor;
  starts: GpuTensor;
  sources: GpuTensor;
}

/** Uploads them; their owner destroys the buffers. */
export function uploadIndex(gpu: Gpu, batch: PolicyBatch): BatchIndex {
  const { starts, sources } = scatterPlan(batch.rows, batch.predictors);
  const upload = (values: Uint32Array<ArrayBuffer>, label: string) =>
    uploadTensor(gpu, values, [values.length], 'u32', label);
  return {
    tokens: upload(Uint32Array.from(batch.tokens), 'completion tokens'),
    predictors: upload(batch.predictors, 'predicting rows'),
    starts: upload(starts, 'row starts'),
    sources: upload(sources, 'row sources'),
  };
}
