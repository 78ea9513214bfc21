import type { GroupToken } from '../../generate/generate';
import type { SamplingSettings } from '../../generate/settings';
import { answerLetter, ThinkParser } from '../../generate/think-parser';
import type { Trace } from '../../generate/trace';
import type { RewardSetting } from '../../grpo/rewards/reward-setting';
import { scoreAlone } from '../../grpo/rewards/score-group';
import { stepAdvantages } from '../../grpo/step-advantages';
import { TokenStream } from '../../model/token-stream';
import type { Tokenizer } from '../../model/tokenizer';
import type { LiveScore, RunConfig, TrainingEvent } from '../training-protocol';
import type { RunQuestion } from './question-source';

/** Traces are posted at most this often. */
const POST_INTERVAL_MS = 200;

/** One answer as it grows. */
class LiveAnswer {
  readonly tokens: number[] = [];
  done = false;
  /** Its advantage is that of the group. */
  scored?: LiveScore;
  private readonly stream: TokenStream;
  private readonly parser: ThinkParser;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly options: readonly string[],
    private readonly most: number,
  ) {
    this.stream = new TokenStream(tokenizer);
    this.parser = new ThinkParser(options);
  }

  push(id: number): void {
    this.parser.add(this.stream.push(id));
    this.tokens.push(id);
    if (id === this.tokenizer.eos_token_id || this.tokens.length === this.most) this.done = true;
  }

  /** Scores it, as it has ended. */
  score(rewards: readonly RewardSetting[], question: RunQuestion, max_length_reward: number): void {
    const { tokens } = this;
    const given = scoreAlone(rewards, { text: this.tokenizer.decode(tokens), tokens }, question, {
      max_completion_length: this.most,
      max_length_reward,
    });
    if (!given) return;
    const tagged = this.trace().answer;
    const answer = tagged === undefined ? undefined : answerLetter(tagged, this.options.length);
    this.scored = {
      ...given,
      ...(answer === undefined ? {} : { answer }),
      terminated: tokens.at(-1) === this.tokenizer.eos_token_id,
    };
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
  config: RunConfig;
}

/**
 * Posts the traces of a step's answers as they grow: those of one group at a time, the first that has not ended. Built-in
 * rewards are shown as answers end; the trainer's own, of the whole group, are the same.
 */
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
    const { num_generations, max_completion_length } = step.config.grpo;
    this.groups = step.questions.map(({ options }) =>
      Array.from(
        { length: num_generations },
        () => new LiveAnswer(tokenizer, options, max_completion_length),
      ),
    );
  }

  /** Adds tokens of one of the step's questions. */
  push(place: number, tokens: readonly GroupToken[]): void {
    const { step } = this;
    for (const { sample, record } of tokens) {
      const answer = this.groups[place]![sample]!;
      answer.push(record.id);
      if (!answer.done) continue;
      this.ended += 1;
      const { rewards, max_length_reward } = step.config;
      answer.score(rewards, step.questions[place]!, max_length_reward);
    }
    const now = performance.now();
    if (this.current < 0) this.begin(place);
    if (now - this.posted < POST_INTERVAL_MS) return;
    this.posted = now;
    if (this.groups[this.current]!.every(({ done }) => done)) {
      const next = this.groups.findIndex((group) =>
        group.some(({ tokens: { length }, done }) => length > 0 && !done),
      );
      if (next >= 0 && next !== this.current) {
        this.postTraces(this.current);
        this.begin(next);
      }
    }
    this.postTraces(this.current);
    const total = step.questions.length * step.config.grpo.num_generations;
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
    const { run, step, first, questions, settings, config } = this.step;
    const { problem, solution } = questions[place]!;
    this.post({
      type: 'group-started',
      run,
      step,
      question: first + place,
      prompt: problem,
      solution,
      settings,
      num_generations: config.grpo.num_generations,
    });
  }

  private postTraces(place: number): void {
    const { run, first, config } = this.step;
    const group = this.groups[place]!;
    const rewardsOf = (answers: readonly LiveAnswer[]) => answers.map(({ scored }) => scored?.reward);
    const all = this.groups.flatMap(rewardsOf).filter((reward) => reward !== undefined);
    const advantages = stepAdvantages(rewardsOf(group), first + place, all, config.grpo);
    this.post({
      type: 'group-traces',
      run,
      question: first + place,
      answers: group.map((answer, sample) => {
        const { tokens, done, scored } = answer;
        const advantage = advantages[sample];
        return {
          sample,
          trace: answer.trace(),
          tokens: tokens.length,
          done,
          ...(scored ? { scored: advantage === undefined ? scored : { ...scored, advantage } } : {}),
        };
      }),
    });
  }
}
