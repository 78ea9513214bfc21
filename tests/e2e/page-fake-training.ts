import type { Page } from '@playwright/test';
import { presetConfig } from '../../src/app/train/presets';
import { parseTrace } from '../../src/generate/think-parser';
import type {
  CompletionRow,
  EvalLine,
  LiveScore,
  MemoryPlan,
  RunConfig,
  RunEvent,
  RunSummary,
  StepLine,
  TrainingEvent,
} from '../../src/worker/training-protocol';
import { emit } from './page-fake-engine';

// A made-up run with numbers that a run could have, for the states of the Train page. None of it is a model's.

/** Sends events about training to the page. */
export async function emitTraining(page: Page, ...events: TrainingEvent[]): Promise<void> {
  // The fake engine's port carries both kinds, as the real one's does.
  await emit(page, ...(events as unknown as Parameters<typeof emit>[1][]));
}

const PROBLEM = 'Which way does the red circle move?\nOptions:\nA. left\nB. down\nC. right\nD. up';

const TEXTS: { text: string; answer?: string; reward: number }[] = [
  {
    text: '<think>I think it is left. Wait, let me look again. The red circle is at the top first and at the bottom last. So it moves down.</think><answer>B</answer>',
    answer: 'B',
    reward: 1.56,
  },
  {
    text: '<think>The red circle starts at the top. It ends at the bottom. So it moves down.</think><answer>B</answer>',
    answer: 'B',
    reward: 1.54,
  },
  {
    text: '<think>The blue square moves right. So the answer is right.</think><answer>C</answer>',
    answer: 'C',
    reward: -0.53,
  },
  {
    text: '<think>At first the red circle is at the top left. Hmm, check the last frame. It is at the bottom left now. So it moves down.</think><answer>B</answer>',
    answer: 'B',
    reward: 1.58,
  },
  {
    text: '<think>The red circle is on the left. It stays on the left. So it moves left.</think><answer>A</answer>',
    answer: 'A',
    reward: -0.54,
  },
  {
    text: '<think>The red circle goes from row 1 to row 3. So it moves down.</think><answer>B</answer>',
    answer: 'B',
    reward: 1.54,
  },
  {
    text: '<think>I think it is up. No, the first frame is the top one. The red circle is lower.</think><answer>D</answer>',
    answer: 'D',
    reward: -0.56,
  },
  { text: `<think>${'I think it is left. '.repeat(12)}`, reward: -2 },
];

/** Rows of a group of eight, as they are scored; or of those of its answers that have ended. */
export function fakeRows(step: number, question: number, ended = TEXTS.length): CompletionRow[] {
  const given = TEXTS.slice(0, ended);
  const mean = given.reduce((sum, { reward }) => sum + reward, 0) / ended;
  const std = Math.sqrt(given.reduce((sum, { reward }) => sum + (reward - mean) ** 2, 0) / (ended - 1));
  return given.map(({ text, answer, reward }, sample) => ({
    step,
    question,
    sample,
    prompt: PROBLEM,
    completion: text,
    solution: 'B',
    ...(answer ? { answer } : {}),
    rewards: { signed_reward: reward, accuracy_reward: answer === 'B' ? 1 : 0 },
    reward,
    advantage: (reward - mean) / (std + 1e-4),
    tokens: text.split(' ').length + 6,
    terminated: answer !== undefined,
    aha: /Wait|Hmm|No,/.test(text),
  }));
}

/** Always the same numbers between -1 and 1. */
const wave = (step: number, seed: number) =>
  Math.sin(step * 12.9898 + seed * 78.233) * Math.cos(step * 3.7 * seed);

/** A step's line of the log. Step 61 has no gradient: it was skipped. */
export function fakeLine(step: number): StepLine {
  const rise = (from: number, to: number, pace: number) =>
    from + (to - from) * (1 - Math.exp((-step / 400) * pace));
  const line: StepLine = {
    step,
    loss: 0.02 * wave(step, 1),
    reward: rise(-0.55, 1.3, 4) + 0.2 * wave(step, 2),
    reward_std: 0.9 - 0.001 * step,
    'rewards/accuracy_reward/mean': rise(0.28, 0.86, 4) + 0.05 * wave(step, 3),
    'rewards/format_reward/mean': rise(0.12, 0.5, 9) + 0.02 * wave(step, 4),
    'rewards/signed_reward/mean': rise(-0.55, 0.7, 4) + 0.05 * wave(step, 5),
    frac_reward_zero_std: Math.max(0, rise(0.04, 0.38, 3) + 0.09 * wave(step, 6)),
    kl: Math.max(0, rise(0, 0.074, 2.6) + 0.006 * wave(step, 7)),
    entropy: rise(1.08, 0.42, 3.4) + 0.06 * wave(step, 8),
    grad_norm: step === 61 ? Number.NaN : Math.abs(rise(1.5, 0.62, 5) + 0.25 * wave(step, 9)),
    learning_rate: 1e-4,
    'completions/mean_length': rise(22, 41, 3) + 2.4 * wave(step, 10),
    'completions/min_length': rise(14, 25, 3) + 2 * wave(step, 12),
    'completions/max_length': rise(38, 64, 3) + 6 * wave(step, 13),
    'completions/clipped_ratio': 0.04,
    'clip_ratio/region_mean': 0.01,
    'clip_ratio/low_mean': 0.004,
    'clip_ratio/high_mean': 0.006,
    'sampling/sampling_logp_difference/max': 1e-5,
    num_tokens: step * 2400,
    step_time: 1.9,
    self_check_rate: Math.max(0, rise(0.08, 0.34, 3) + 0.04 * wave(step, 11)),
  };
  return line;
}

/** A check on held-out questions. */
export function fakeEval(step: number, accuracy: number): EvalLine {
  return {
    step,
    questions: 200,
    chance: 0.2,
    accuracy_sampled: accuracy,
    accuracy_greedy: accuracy + 0.06,
    format_rate: 0.97,
    self_check_rate: 0.2 + step / 1000,
    checked_right_before: 0.31,
    checked_right_after: 0.52,
  };
}

/** Answers the page's `plan-memory` request: of a plan that fits, or of one that does not. */
export function fakePlan(fits: boolean): MemoryPlan {
  return {
    parts: [
      { name: 'weights', bytes: 3e6 },
      { name: 'lora', bytes: 2e6 },
      { name: 'prefix-cache', bytes: 9e6 },
      { name: 'answer-caches', bytes: 46e6 },
      { name: 'backward', bytes: fits ? 252e6 : 4.5e9 },
    ],
    bytes: fits ? 312e6 : 4.6e9,
    budget: { bytes: 4e9, source: 'probed' },
    largestBuffer: 96e6,
    maxBufferSize: 1e9,
    ...(fits ? {} : { suggestions: { num_generations: 5, max_completion_length: 640 } }),
  };
}

/** A run of the list. */
export function fakeRun(run: string, name: string, change: Partial<RunSummary> = {}): RunSummary {
  return {
    run,
    name,
    stage: 'grpo',
    model: 'Toy model',
    data: 'toy',
    state: 'done',
    step: 400,
    saved_step: 400,
    max_steps: 400,
    reward: 0.79,
    eval_accuracy: 0.58,
    created: 1_790_000_000_000,
    bytes: 2_400_000,
    config: presetConfig('toy'),
    ...change,
  };
}

const EVENTS: RunEvent[] = [
  { step: 0, code: 'started', text: 'started', time: 1_790_000_000_000 },
  { step: 90, code: 'saved', text: 'checkpoint saved', time: 1_790_000_001_000 },
  { step: 96, code: 'resumed', text: 'resumed after the tab was closed', time: 1_790_000_002_000 },
  { step: 150, code: 'eval', text: 'held-out check, 66%', time: 1_790_000_003_000 },
  { step: 180, code: 'saved', text: 'checkpoint saved', time: 1_790_000_004_000 },
];

/** All that is known of a made-up run after `steps` steps, as the answer to a `read-run` request. */
export function fakeData(
  id: number,
  run: RunSummary,
  config: RunConfig,
  steps: number,
): Extract<TrainingEvent, { type: 'run-data' }> {
  return {
    type: 'run-data',
    id,
    run,
    config,
    lines: Array.from({ length: steps }, (_, i) => fakeLine(i + 1)),
    evals: [fakeEval(0, 0.34), fakeEval(50, 0.47), fakeEval(100, 0.58), fakeEval(150, 0.66)].filter(
      ({ step }) => step <= steps,
    ),
    events: EVENTS.filter(({ step }) => step <= steps),
    completions: steps === 0 ? [] : [steps - 2, steps - 1, steps].flatMap((step) => fakeRows(step, step * 8)),
    checkpoints: [90, 180].filter((step) => step <= steps),
  };
}

/** The group of a step begins; five of its answers have ended, three are being written. */
export async function streamFakeTraining(
  page: Page,
  run: string,
  step: number,
  question: number,
): Promise<void> {
  const ended = fakeRows(step, question, 5);
  await emitTraining(
    page,
    {
      type: 'group-started',
      run,
      step,
      question,
      prompt: PROBLEM,
      solution: '<answer>B</answer>',
      settings: { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 256, seed: 42 },
      num_generations: 8,
    },
    {
      type: 'group-traces',
      run,
      question,
      answers: TEXTS.map(({ text }, sample) => {
        const row = ended[sample];
        const done = row !== undefined;
        const shown = done ? text : text.slice(0, 60 + sample * 4);
        return {
          sample,
          trace: parseTrace(shown, { ended: done, options: ['left', 'down', 'right', 'up'] }),
          tokens: shown.split(' ').length,
          done,
          ...(row ? { scored: scoreOf(row) } : {}),
        };
      }),
    },
    { type: 'run-progress', run, label: 'answers 5 of 8', done: 5, total: 8 },
  );
}

function scoreOf({ answer, terminated, reward, rewards, advantage }: CompletionRow): LiveScore {
  return { ...(answer === undefined ? {} : { answer }), terminated, reward, rewards, advantage };
}
