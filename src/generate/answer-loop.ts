import type { Gpu } from '../gpu/device';
import { ReadBackRing } from '../gpu/read-back';
import type { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import type { LanguageModel } from '../model/language-model';
import type { AnswerTree, Branch } from './answer-tree';
import { decodeRecord, RECORD_WORDS, type SampleRecord, type Sampler } from './sampler';
import type { DrawSettings } from './settings';

const BROKEN_LOGITS =
  'The model gave values that are no numbers (NaN or infinity), so no token could be chosen. ' +
  'Its weights may be damaged: load them again.';

/** An answer that is being written. */
export interface OpenAnswer {
  branch: Branch;
  settings: DrawSettings;
  /** Which question of a run, for the random numbers; the branch says which sample. */
  question: number;
}

/** A token of one of the answers. */
export interface DrawnToken<Answer> {
  answer: Answer;
  record: SampleRecord;
}

/** What `AnswerLoop.write` goes on from. */
export interface LoopInput<Answer extends OpenAnswer> {
  tree: AnswerTree;
  /** Those with equal settings beside each other take the fewest dispatches. */
  answers: readonly Answer[];
  /** A row for each answer, from which its first token is drawn. */
  logits: GpuTensor;
  /** Number of the first token that is drawn, in each answer. */
  position: number;
  max_new_tokens: number;
  steps: DecoderSteps | undefined;
  signal: AbortSignal | undefined;
  /** Told of the CPU's time to issue each step, in milliseconds. */
  onIssued?: (ms: number) => void;
}

/** A model as far as answers are written with it. */
export interface AnsweringModel {
  readonly language: LanguageModel;
  readonly tokenizer: { readonly eos_token_id: number };
}

/** Draws under way: answers by the row of the batch. */
interface Draws<Answer> {
  rows: readonly Answer[];
  records: Promise<SampleRecord[]>;
}

/**
 * Writes answers token by token, side by side: each step takes one row of every answer that has not ended. The sampled
 * tokens stay on the GPU, where the next step reads them; the CPU reads them one step behind, so one row more than
 * needed is computed behind an answer's last token.
 */
export class AnswerLoop {
  private tokens: [GpuTensor, GpuTensor] | undefined;
  private records: GpuTensor | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly model: AnsweringModel,
    private readonly sampler: Sampler,
    private readonly recorder: Recorder,
  ) {}

  /**
   * Yields the tokens of each step as they are read back, the end-of-text tokens included, in the answers' order. Ends
   * when all have ended, after `max_new_tokens`, or when `signal` says so or the caller stops iterating.
   */
  async *write<Answer extends OpenAnswer>(
    input: LoopInput<Answer>,
  ): AsyncGenerator<DrawnToken<Answer>[], void> {
    const { tree, answers, max_new_tokens, steps, signal } = input;
    const { language, tokenizer } = this.model;
    this.reserve(answers.length);
    const ring = new ReadBackRing(this.gpu, answers.length * RECORD_WORDS * 4);
    let pending: Draws<Answer> | undefined;
    try {
      let alive = answers;
      pending = this.draw(input.logits, alive, input.position, ring);
      for (let step = 1; alive.length > 0; step++) {
        let next: Draws<Answer> | undefined;
        if (step < max_new_tokens) {
          const begin = performance.now();
          this.keepRows(pending.rows, alive);
          tree.makeRoom(
            alive.map(({ branch }) => branch),
            max_new_tokens - step,
          );
          const made = language.step(
            {
              cache: tree.cache,
              append: alive.map(({ branch }) => ({ segment: branch.leaf, count: 1 })),
              tokens: this.tokens![0],
              ...(steps ? { steps } : {}),
            },
            this.recorder,
          );
          // No promise where there is none: see `step`.
          const logits = made instanceof Promise ? await made : made;
          next = this.draw(logits, alive, input.position + step, ring);
          input.onIssued?.(performance.now() - begin);
        }
        const current: Draws<Answer> = pending;
        if (next) pending = next;
        const open = new Set(alive);
        const tokens: DrawnToken<Answer>[] = [];
        for (const [i, record] of (await current.records).entries()) {
          const answer = current.rows[i]!;
          // This step was under way when the end of the answer was read.
          if (!open.has(answer)) continue;
          if (record.status !== 0) throw new Error(BROKEN_LOGITS);
          answer.branch.tokens.push(record.id);
          tokens.push({ answer, record });
        }
        alive = next ? alive.filter(({ branch }) => branch.tokens.at(-1) !== tokenizer.eos_token_id) : [];
        yield tokens;
        if (signal?.aborted) break;
      }
    } finally {
      // The read under way must end before its buffer is destroyed.
      await pending?.records.catch(() => undefined);
      ring.destroy();
    }
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const tensor of this.tokens ?? []) tensor.buffer.destroy();
    this.records?.buffer.destroy();
    this.tokens = undefined;
    this.records = undefined;
  }

  /** Puts the tokens of the answers that go on in the order of the next step's rows. */
  private keepRows<Answer>(before: readonly Answer[], after: readonly Answer[]): void {
    if (before.length === after.length) return;
    const [from, to] = this.tokens!;
    const rowOf = new Map(before.map((answer, row) => [answer, row]));
    for (const [row, answer] of after.entries())
      this.recorder.copy(from.buffer, 4 * rowOf.get(answer)!, to.buffer, 4 * row, 4);
    this.recorder.submit();
    this.tokens = [to, from];
  }

  private draw<Answer extends OpenAnswer>(
    logits: GpuTensor,
    rows: readonly Answer[],
    position: number,
    ring: ReadBackRing,
  ): Draws<Answer> {
    const tokens = this.tokens![0];
    const records = this.records!;
    for (let first = 0; first < rows.length; ) {
      const { settings } = rows[first]!;
      let end = first + 1;
      while (end < rows.length && rows[end]!.settings === settings) end += 1;
      this.sampler.record(this.recorder, {
        logits,
        tokens,
        records,
        settings,
        first,
        rows: rows
          .slice(first, end)
          .map(({ question, branch }) => ({ question, sample: branch.sample, position, active: true })),
      });
      first = end;
    }
    const read = ring.read(this.recorder, records.buffer).then((bytes) => {
      const words = new Uint32Array(bytes);
      return rows.map((_, row) => decodeRecord(words, row));
    });
    return { rows, records: read };
  }

  /** Makes the buffers of the draws large enough. */
  private reserve(answers: number): void {
    if (this.records && this.records.shape[0]! >= answers) return;
    this.destroy();
    const tokens = () => createTensor(this.gpu, [answers], 'i32', 'sampled tokens');
    this.tokens = [tokens(), tokens()];
    this.records = createTensor(this.gpu, [answers, RECORD_WORDS], 'u32', 'sample records');
  }
}
