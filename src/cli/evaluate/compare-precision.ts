import { openGpu } from '../../gpu/device';
import { type GpuTensor, readF32, uploadTensor } from '../../gpu/tensor';
import type { ModelPrecision, PartPrecision } from '../../model/precision';
import { buildPrompt, withOptions } from '../../model/prompt';
import { storeAt } from '../../weights/file-store';
import type { EngineEvent, Question, SamplingSettings } from '../../worker/protocol';
import { closeSession, loadSession, type Session } from '../../worker/session';
import { readVideo } from '../../worker/video-reader';
import { divergence, logSoftmax } from './divergence';
import { precisionTable } from './precision-table';
import { isCorrect } from './score';
import { chooseQuestions, toyVideo } from './toy-clips';

/** What the command line asks for. */
export interface PrecisionRequest {
  modelUrl: string;
  questions: number;
  seed: number;
  /** What is compared; the first is what the others are compared with. */
  precisions: { name: string; precision: ModelPrecision }[];
}

/** What one precision does to a model. */
export interface PrecisionOutcome {
  name: string;
  precision: ModelPrecision;
  /** Bytes of the weights on the GPU. */
  weight_bytes: number;
  /** Errors of the weights, by part. */
  parts: readonly PartPrecision[];
  questions: number;
  accuracy_greedy: number;
  /** Mean over SAMPLES answers to each question. */
  accuracy_sampled: number;
  /** Kullback-Leibler divergence from the first precision's next-token distributions, nats: mean, and the largest. */
  mean_kl: number;
  max_kl: number;
  /** Tokens whose distributions were compared: those of the first precision's greedy answers. */
  tokens: number;
  /** Share of those tokens that are this precision's most probable ones too. */
  same_token: number;
}

/** Answers drawn to a question at temperature 1. */
export const SAMPLES = 4;
const MAX_NEW_TOKENS = 160;

/** What the first precision's distributions may take in memory. */
const REFERENCE_BYTES = 2e9;

/** The first precision's answer to a question, and the distribution before each of its tokens. */
interface Reference {
  tokens: number[];
  logps: Float32Array[];
}

/**
 * Loads a model in each precision, one after the other, and asks the same held-out questions, from an H.264 file to
 * the answer. Distributions are those along the first precision's greedy answers, over the whole vocabulary; they are
 * kept in memory between the models.
 * @throws Error where that would be too much.
 */
export async function comparePrecisions(
  request: PrecisionRequest,
  report: (line: string) => void,
): Promise<PrecisionOutcome[]> {
  const references: Reference[] = [];
  const outcomes: PrecisionOutcome[] = [];
  for (const { name, precision } of request.precisions) {
    const session = await loadSession(await openGpu(), storeAt(request.modelUrl), { precision });
    try {
      checkMemory(session.model.config.text_config.vocab_size, request.questions);
      const sums = await ask(session, request, references, (done) =>
        report(`${name}: ${done} of ${request.questions} questions`),
      );
      const { model } = session;
      const { questions, tokens } = sums;
      outcomes.push({
        name,
        precision,
        weight_bytes: model.weights.bytes,
        parts: model.precision,
        questions,
        accuracy_greedy: sums.greedy / questions,
        accuracy_sampled: sums.sampled / questions,
        mean_kl: sums.kl / tokens,
        max_kl: sums.max_kl,
        tokens,
        same_token: sums.same / tokens,
      });
      // A line as soon as it is known: the next model may take long.
      report(precisionTable(outcomes.slice(-1)).at(-1)!);
    } finally {
      await closeSession(session);
    }
  }
  return outcomes;
}

function checkMemory(vocab_size: number, questions: number): void {
  const each = 4 * vocab_size * MAX_NEW_TOKENS;
  const most = Math.floor(REFERENCE_BYTES / each);
  if (questions > most)
    throw new Error(
      `Distributions over ${vocab_size} tokens take up to ${Math.ceil(each / 1e6)} MB of memory for each question. ` +
        `Ask ${most} of them: --questions ${most}.`,
    );
}

interface Sums {
  questions: number;
  greedy: number;
  sampled: number;
  kl: number;
  max_kl: number;
  same: number;
  tokens: number;
}

async function ask(
  session: Session,
  request: PrecisionRequest,
  references: Reference[],
  onProgress: (done: number) => void,
): Promise<Sums> {
  const { gpu, model, preprocessor } = session;
  const sums: Sums = { questions: 0, greedy: 0, sampled: 0, kl: 0, max_kl: 0, same: 0, tokens: 0 };
  for (const { clipSeed, chosen } of chooseQuestions(request.questions)) {
    const silent = {
      onScan() {},
      onInfo() {},
      onFrame: (_: number, __: number, image: ImageBitmap) => image.close(),
    };
    const file = await toyVideo(clipSeed);
    const { signal } = new AbortController();
    const { visual } = await readVideo(gpu, model, preprocessor, file, 'uniform', silent, signal);
    for (const { question: text, options, answer } of chosen) {
      const question: Question = { text, options, reasoning: true };
      const index = sums.questions++;
      const greedy = await write(session, question, visual, { temperature: 0, seed: request.seed }, 1);
      sums.greedy += Number(isCorrect(greedy[0]!.text, answer));
      const drawn = { temperature: 1, seed: request.seed + index };
      for (const sample of await write(session, question, visual, drawn, SAMPLES))
        sums.sampled += Number(isCorrect(sample.text, answer)) / SAMPLES;
      const reference = (references[index] ??= { tokens: greedy[0]!.tokens, logps: [] });
      const logps = await distributions(session, question, visual, reference.tokens);
      if (reference.logps.length === 0) reference.logps.push(...logps);
      for (const [i, logq] of logps.entries()) {
        const kl = divergence(reference.logps[i]!, logq);
        sums.kl += kl;
        sums.max_kl = Math.max(sums.max_kl, kl);
        sums.same += Number(logq.indexOf(logq.reduce((a, b) => Math.max(a, b))) === reference.tokens[i]);
        sums.tokens += 1;
      }
    }
    onProgress(sums.questions);
    session.writer.forget();
    visual.buffer.destroy();
  }
  return sums;
}

/** Answers to a question, with the ids of their tokens. */
async function write(
  { writer }: Session,
  question: Question,
  visual: GpuTensor,
  draw: { temperature: number; seed: number },
  num_generations: number,
): Promise<{ text: string; tokens: number[] }[]> {
  const settings: SamplingSettings = { ...draw, top_k: 0, top_p: 1, max_new_tokens: MAX_NEW_TOKENS };
  const answers = Array.from({ length: num_generations }, () => ({ text: '', tokens: [] as number[] }));
  const post = (event: EngineEvent) => {
    if (event.type === 'tokens') answers[event.sample]!.tokens.push(...event.tokens.map(({ id }) => id));
    if (event.type === 'answered') answers[event.sample]!.text = event.trace.text;
  };
  const request = { type: 'ask' as const, id: 1, question, settings, num_generations };
  await writer.write(request, visual, new AbortController().signal, post);
  return answers;
}

/** Log-probabilities `[V]` before each of an answer's tokens. */
async function distributions(
  { gpu, model }: Session,
  { text, options, reasoning }: Question,
  visual: GpuTensor,
  tokens: readonly number[],
): Promise<Float32Array[]> {
  const { language, tokenizer } = model;
  const prompt_ids = tokenizer.encodePrompt(buildPrompt(withOptions(text, options), { reasoning }));
  const embeds = language.embedPrompt(prompt_ids, visual);
  const rows = embeds.shape[0]!;
  const cache = language.createCache(rows + tokens.length);
  const ids = uploadTensor(gpu, Int32Array.from(tokens), [tokens.length], 'i32', 'answer');
  try {
    const segment = cache.addSegment(rows + tokens.length);
    const out: Float32Array[] = [];
    const take = async (logits: GpuTensor) => {
      const values = await readF32(gpu, logits);
      const V = logits.shape[1]!;
      for (let i = 0; i < logits.shape[0]!; i++) out.push(logSoftmax(values.subarray(i * V, (i + 1) * V)));
    };
    const prompt = await language.forward({ cache, append: [{ segment, count: rows }], embeds });
    await take(await language.logits(prompt, [rows - 1]));
    const count = tokens.length - 1;
    if (count > 0)
      await take(
        await language.logits(await language.forward({ cache, append: [{ segment, count }], tokens: ids })),
      );
    return out;
  } finally {
    for (const { buffer } of [embeds, ids]) buffer.destroy();
    cache.destroy();
  }
}
