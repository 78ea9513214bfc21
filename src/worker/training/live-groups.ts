import type { GroupToken } from '../../generate/generate';
import type { SamplingSettings } from '../../generate/settings';
import { ThinkParser } from '../../generate/think-parser';
import type { Trace } from '../../generate/trace';
import { TokenStream } from '../../model/token-stream';
import type { Tokenizer } from '../../model/tokenizer';
import type { TrainingEvent } from '../training-protocol';
import type { RunQuestion } from './question-source';

/** Traces are posted at most this often. */
const POST_INTERVAL_MS = 200;

/** One answer as it grows. */
class LiveAnswer {
  tokens = 0;
  done = false;
  private readonly stream: TokenStream;
  private readonly parser: ThinkParser;

  constructor(
    private readonly tokenizer: Tokenizer,
    options: readonly string[],
  ) {
    this.stream = new TokenStream(tokenizer);
    this.parser = new ThinkParser(options);
  }

  push(id: number): void {
    this.parser.add(this.stream.push(id));
    this.tokens += 1;
    if (id === this.tokenizer.eos_token_id) this.done = true;
  }

  trace(): Trace {
    return this.done ? this.parser.end() : this.parser.trace();
  }
}

/** What a step's groups have in common. */
export interface LiveStep {
  run: string;
  /** The step that they are for, from 1. */
  step: number;
  /** Number of the step's first question in the run. */
  first: number;
  questions: readonly RunQuestion[];
  settings: SamplingSettings;
  num_generations: number;
}

/** Posts the traces of a step's answers as they grow: those of one group at a time, the first that has not ended. */
export class LiveGroups {
  private readonly groups: LiveAnswer[][];
  private current = -1;
  private posted = 0;
  private ended = 0;

  constructor(
    tokenizer: Tokenizer,
    private readonly step: LiveStep,
    private readonly post: (event: TrainingEvent) => void,
  ) {
    this.groups = step.questions.map(({ options }) =>
      Array.from({ length: step.num_generations }, () => new LiveAnswer(tokenizer, options)),
    );
  }

  /** Adds tokens of one of the step's questions. */
  push(place: number, tokens: readonly GroupToken[]): void {
    for (const { sample, record } of tokens) {
      const answer = this.groups[place]![sample]!;
      answer.push(record.id);
      if (answer.done) this.ended += 1;
    }
    const now = performance.now();
    if (this.current < 0) this.begin(place);
    if (now - this.posted < POST_INTERVAL_MS) return;
    this.posted = now;
    const { step } = this;
    if (this.groups[this.current]!.every(({ done }) => done)) {
      const next = this.groups.findIndex((group) => group.some(({ tokens: n, done }) => n > 0 && !done));
      if (next >= 0 && next !== this.current) {
        this.postTraces(this.current);
        this.begin(next);
      }
    }
    this.postTraces(this.current);
    const total = step.questions.length * step.num_generations;
    this.post({
      type: 'run-progress',
      run: step.run,
      label: `answers ${this.ended} of ${total}`,
      done: this.ended,
      total,
    });
  }

  /** Ends a group, which is about to be scored: all answers of the step are written. */
  end(place: number): void {
    for (const answer of this.groups[place]!) answer.done = true;
    if (this.current !== place) this.begin(place);
    this.postTraces(place);
  }

  private begin(place: number): void {
    this.current = place;
    const { run, step, first, questions, settings, num_generations } = this.step;
    const { problem, solution } = questions[place]!;
    this.post({
      type: 'group-started',
      run,
      step,
      question: first + place,
      prompt: problem,
      solution,
      settings,
      num_generations,
    });
  }

  private postTraces(place: number): void {
    const { run, first } = this.step;
    this.post({
      type: 'group-traces',
      run,
      question: first + place,
      answers: this.groups[place]!.map((answer, sample) => ({
        sample,
        trace: answer.trace(),
        tokens: answer.tokens,
        done: answer.done,
      })),
    });
  }
}
