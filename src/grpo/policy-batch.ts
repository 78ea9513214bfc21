import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import { uploadTensor } from '../gpu/tensor';

/** A question's answers. */
export interface PolicyGroup {
  /** Rows of the prompt. */
  prompt_rows: number;
  /** Token ids of each answer. */
  completions: readonly (readonly number[])[];
}

/**
 * Questions and their answers as one forward pass: each prompt once, with its answers' tokens behind it. The rows of an
 * answer are its tokens but for the last, which predicts nothing; a prompt's last row predicts every first token.
 *
 * The rows that predict something come first: the prompts' last ones, then those of the answers. Behind them lie the
 * other rows of the prompts, of which the last layer needs keys and values alone.
 */
export interface PolicyBatch {
  readonly tree: SegmentTree;
  /** All rows. */
  readonly runs: readonly QueryRun[];
  /** The rows that predict something. */
  readonly scored_runs: readonly QueryRun[];
  /** Rows of the pass. */
  readonly rows: number;
  /** How many of them predict something. */
  readonly scored_rows: number;
  /** Rows of each prompt. */
  readonly prompts: readonly number[];
  /** Of all prompts together. */
  readonly prompt_rows: number;
  /** Tokens of all answers, one behind the other. */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** The row that predicts each of them. */
  readonly predictors: Uint32Array<ArrayBuffer>;
  /** Where each answer begins in `tokens`, and the end of the last. */
  readonly offsets: readonly number[];
  /** The first answer of each question, and the end of the last. */
  readonly groups: readonly number[];
  /** Token ids of the answers' rows. */
  readonly row_tokens: Int32Array<ArrayBuffer>;
}

/** Lays out one group. @throws Error where an answer has no token. */
export function policyBatch(prompt_rows: number, completions: readonly (readonly number[])[]): PolicyBatch {
  return policyForest([{ prompt_rows, completions }]);
}

/** Lays out several groups. @throws Error where an answer has no token. */
export function policyForest(questions: readonly PolicyGroup[]): PolicyBatch {
  const tree = new SegmentTree();
  const scored_runs: QueryRun[] = [];
  const rest: QueryRun[] = [];
  const offsets = [0];
  const groups = [0];
  const predictors: number[] = [];
  const row_tokens: number[] = [];
  for (const [place, { prompt_rows }] of questions.entries()) {
    const segment = tree.add({ parent: -1, capacity: prompt_rows, causal: true });
    tree.append(segment, prompt_rows);
    scored_runs.push({ row: place, count: 1, segment, offset: prompt_rows - 1 });
  }
  let row = questions.length;
  for (const [place, { completions }] of questions.entries()) {
    const parent = scored_runs[place]!.segment;
    for (const completion of completions) {
      if (completion.length === 0) throw new Error('An answer without tokens cannot be trained on.');
      predictors.push(place);
      const count = completion.length - 1;
      if (count > 0) {
        const segment = tree.add({ parent, capacity: count, causal: true });
        tree.append(segment, count);
        scored_runs.push({ row, count, segment, offset: 0 });
        for (let i = 0; i < count; i++) {
          predictors.push(row + i);
          row_tokens.push(completion[i]!);
        }
        row += count;
      }
      offsets.push(offsets.at(-1)! + completion.length);
    }
    groups.push(groups.at(-1)! + completions.length);
  }
  const scored_rows = row;
  for (const [place, { prompt_rows }] of questions.entries()) {
    const { segment } = scored_runs[place]!;
    if (prompt_rows > 1) rest.push({ row, count: prompt_rows - 1, segment, offset: 0 });
    row += prompt_rows - 1;
  }
  const prompts = questions.map(({ prompt_rows }) => prompt_rows);
  return {
    tree,
    runs: [...scored_runs, ...rest],
    scored_runs,
    rows: row,
    scored_rows,
    prompts,
    prompt_rows: prompts.reduce((sum, rows) => sum + rows, 0),
    tokens: Int32Array.from(questions.flatMap(({ completions }) => completions.flat())),
    predictors: Uint32Array.from(predictors),
    offsets,
    groups,
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
  /** Of the rows that predict something. */
  starts: GpuTensor;
  sources: GpuTensor;
}

/** Uploads them; their owner destroys the buffers. */
export function uploadIndex(gpu: Gpu, batch: PolicyBatch): BatchIndex {
  const { starts, sources } = scatterPlan(batch.scored_rows, batch.predictors);
  const upload = (values: Uint32Array<ArrayBuffer>, label: string) =>
    uploadTensor(gpu, values, [values.length], 'u32', label);
  return {
    tokens: upload(Uint32Array.from(batch.tokens), 'completion tokens'),
    predictors: upload(batch.predictors, 'predicting rows'),
    starts: upload(starts, 'row starts'),
    sources: upload(sources, 'row sources'),
  };
}
