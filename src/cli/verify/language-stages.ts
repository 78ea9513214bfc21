import type { Gpu } from '../../gpu/device';
import { createTensor, type GpuTensor, readF32, writeTensor } from '../../gpu/tensor';
import type { LanguageModel } from '../../model/language-model';
import { TapRecorder } from '../../model/model-taps';
import { IGNORE_INDEX } from '../../model/tokenizer';
import type { ReferenceTensors } from './reference';
import { ErrorMeter, F32_TOLERANCE, type StageList } from './report';

/** Logits read back at once, in bytes. */
const LOGITS_BYTES = 64 * 2 ** 20;

/** What the language model's stages run on. */
export interface LanguageInputs {
  model: LanguageModel;
  /** Visual tokens of the clip, and of the clip with its frames in reverse order. */
  visual: GpuTensor;
  reversed: GpuTensor;
  /** True: compare with the values recorded for rounded weights alone. */
  rounded: boolean;
}

/** `lm.*`: embeddings, hidden states, logits, log-probabilities, greedy answers, a training batch. */
export async function verifyLanguage(
  list: StageList,
  gpu: Gpu,
  inputs: LanguageInputs,
  lm: ReferenceTensors,
): Promise<void> {
  const shift = lm.has('input_ids') ? await verifySequence(list, gpu, inputs, lm) : 0;
  for (const [prefix, stage, visual] of [
    ['', 'lm.greedy_ids', inputs.visual],
    ['text_only.', 'lm.text_only.greedy_ids', undefined],
  ] as const) {
    if (!lm.has(`${prefix}prompt_ids`) || !lm.has(`${prefix}greedy_ids`)) continue;
    const expected = lm.i32(`${prefix}greedy_ids`);
    const prompt = lm.i32(`${prefix}prompt_ids`);
    if (!inputs.rounded) {
      list.ids(stage, await greedy(gpu, inputs.model, prompt, expected.length, visual), expected);
      continue;
    }
    const steps = certainSteps(lm, `${prefix}greedy_margin`, shift);
    list.note(
      `${stage}: after the recorded ids, ${steps.length} of ${expected.length} choices are compared; rounding may change the others.`,
    );
    if (!steps.length) continue;
    const ids = await greedy(gpu, inputs.model, prompt, expected.length, visual, expected);
    list.ids(
      stage,
      steps.map((step) => ids[step]!),
      steps.map((step) => expected[step]!),
    );
  }
  if (inputs.rounded)
    list.note('The other lm stages are skipped: they were recorded with the weights before rounding.');
  else if (lm.has('batch.input_ids')) await verifyBatch(list, gpu, inputs, lm);
}

/**
 * Greedy steps whose choice rounding cannot change: the recorded margin between the two best logits is more than twice
 * of what rounding moves a logit.
 */
function certainSteps(lm: ReferenceTensors, margin: string, shift: number): number[] {
  if (!lm.has(margin) || shift === 0) return [];
  const margins = lm.f32(margin);
  return [...margins.keys()].filter((step) => margins[step]! > 2 * shift);
}

/**
 * One pass over prompt and completion.
 * @returns with rounded weights, the largest difference from the logits that were recorded before rounding; else 0.
 */
async function verifySequence(
  list: StageList,
  gpu: Gpu,
  { model, visual, rounded }: LanguageInputs,
  lm: ReferenceTensors,
): Promise<number> {
  const taps = new TapRecorder(gpu);
  const embeds = model.embedPrompt(lm.i32('input_ids'), visual);
  const rows = embeds.shape[0]!;
  const cache = model.createCache(rows);
  const segment = cache.addSegment(rows);
  const hidden = await model.forward({
    cache,
    append: [{ segment, count: rows }],
    embeds,
    tap: rounded ? async () => {} : taps.tap,
  });
  if (!rounded) {
    if (lm.has('inputs_embeds'))
      list.compare('lm.inputs_embeds', await readF32(gpu, embeds), lm.f32('inputs_embeds'));
    for (const name of lm.names().filter((item) => /^hidden\.\d+$/.test(item)))
      list.compare(`lm.${name}`, taps.get(`lm.${name}`), lm.f32(name));
    if (lm.has('hidden.final_norm'))
      list.compare('lm.final_norm', taps.get('lm.hidden.final_norm'), lm.f32('hidden.final_norm'));
  }
  const key = rounded ? 'bf16_weights.' : '';
  const completion = lm.has('completion_ids') ? lm.i32('completion_ids') : new Int32Array(0);
  const meter = new ErrorMeter();
  const logps: number[] = [];
  let shift = 0;
  // The row before a token predicts it.
  const firstPredicting = rows - completion.length - 1;
  await eachLogits(gpu, model, hidden, rows, (row, logits) => {
    const V = logits.length;
    const recorded = lm.has('logits') ? lm.f32('logits').subarray(row * V, (row + 1) * V) : undefined;
    if (!rounded && recorded) meter.add(logits, recorded);
    for (let i = 0; rounded && recorded && i < V; i++)
      shift = Math.max(shift, Math.abs(logits[i]! - recorded[i]!));
    if (rounded && row === rows - 1 && lm.has('bf16_weights.last_logits')) {
      meter.add(logits, lm.f32('bf16_weights.last_logits'));
    }
    const id = completion[row - firstPredicting];
    if (row >= firstPredicting && id !== undefined) logps.push(logSoftmaxAt(logits, id));
  });
  if (lm.has(rounded ? 'bf16_weights.last_logits' : 'logits'))
    list.add(meter.result('lm.logits', F32_TOLERANCE));
  if (lm.has(`${key}completion_logps`))
    list.compare('lm.completion_logps', logps, lm.f32(`${key}completion_logps`));
  cache.destroy();
  embeds.buffer.destroy();
  return shift;
}

/**
 * Token by token with a cache; ties go to the lowest id.
 * @param forced ids that are appended instead of the model's own choices.
 */
async function greedy(
  gpu: Gpu,
  model: LanguageModel,
  prompt: Int32Array,
  steps: number,
  visual: GpuTensor | undefined,
  forced?: Int32Array,
): Promise<number[]> {
  const embeds = model.embedPrompt(prompt, visual);
  const rows = embeds.shape[0]!;
  const cache = model.createCache(rows + steps);
  const segment = cache.addSegment(rows + steps);
  const token = createTensor(gpu, [1], 'i32', 'token');
  const ids: number[] = [];
  let hidden = await model.forward({ cache, append: [{ segment, count: rows }], embeds });
  let logits = await model.logits(hidden, [rows - 1]);
  for (;;) {
    const values = await readF32(gpu, logits);
    let best = 0;
    for (let id = 1; id < values.length; id++) if (values[id]! > values[best]!) best = id;
    ids.push(best);
    if (ids.length >= steps) break;
    writeTensor(gpu, token, new Int32Array([forced?.[ids.length - 1] ?? best]));
    hidden = await model.forward({ cache, append: [{ segment, count: 1 }], tokens: token });
    logits = await model.logits(hidden);
  }
  token.buffer.destroy();
  embeds.buffer.destroy();
  cache.destroy();
  return ids;
}

/**
 * `lm.batch.label_logps` and `lm.batch.loss`: supervised samples, right-padded; row 0 has the clip, row 1 the clip
 * with its frames in reverse order.
 */
async function verifyBatch(
  list: StageList,
  gpu: Gpu,
  { model, visual, reversed }: LanguageInputs,
  lm: ReferenceTensors,
): Promise<void> {
  const [B = 0, L = 0] = lm.shape('batch.input_ids');
  if (B > 2) {
    list.note(`lm.batch is skipped: it has ${B} rows, and the videos of the first two are known.`);
    return;
  }
  const ids = lm.i32('batch.input_ids');
  const mask = lm.i32('batch.in_mask');
  const labels = lm.i32('batch.in_labels');
  const width = lm.shape('batch.label_logps')[1]!;
  const logps = new Float64Array(B * width);
  let sum = 0;
  let labelled = 0;
  for (let b = 0; b < B; b++) {
    const own = [...ids.keys()].filter((i) => i >= b * L && i < (b + 1) * L && mask[i]);
    const video = b === 0 ? visual : reversed;
    const embeds = model.embedPrompt(
      Int32Array.from(own, (i) => ids[i]!),
      video,
    );
    const rows = embeds.shape[0]!;
    const image = model.config.image_token_index;
    const spliced = own
      .flatMap((i) => (ids[i] === image ? new Array<number>(video.shape[0]!).fill(IGNORE_INDEX) : labels[i]!))
      .slice(0, rows);
    const cache = model.createCache(rows);
    const segment = cache.addSegment(rows);
    const hidden = await model.forward({ cache, append: [{ segment, count: rows }], embeds });
    await eachLogits(gpu, model, hidden, rows, (row, logits) => {
      const label = spliced[row + 1];
      if (label === undefined || label === IGNORE_INDEX) return;
      const logp = logSoftmaxAt(logits, label);
      logps[b * width + row] = logp;
      sum -= logp;
      labelled += 1;
    });
    cache.destroy();
    embeds.buffer.destroy();
  }
  list.compare('lm.batch.label_logps', logps, lm.f32('batch.label_logps'));
  if (lm.has('batch.loss')) list.compare('lm.batch.loss', [sum / labelled], lm.f32('batch.loss'));
}

/** Calls `use` with the logits of every row, computed some rows at a time. */
async function eachLogits(
  gpu: Gpu,
  model: LanguageModel,
  hidden: GpuTensor,
  rows: number,
  use: (row: number, logits: Float32Array<ArrayBuffer>) => void,
): Promise<void> {
  const V = model.config.text_config.vocab_size;
  const chunk = Math.max(1, Math.floor(LOGITS_BYTES / (V * 4)));
  for (let start = 0; start < rows; start += chunk) {
    const part = Array.from({ length: Math.min(chunk, rows - start) }, (_, i) => start + i);
    const values = await readF32(gpu, await model.logits(hidden, part));
    for (const [i, row] of part.entries()) use(row, values.subarray(i * V, (i + 1) * V));
  }
}

/** Natural logarithm of softmax(logits)[id], in float64. */
function logSoftmaxAt(logits: Float32Array, id: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const value of logits) max = Math.max(max, value);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - max);
  return logits[id]! - max - Math.log(sum);
}
