import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOY } from '../../src/grpo/grpo-config';
import { DEFAULT_LORA } from '../../src/lora/lora-config';
import type { BenchEvent } from '../../src/worker/bench-protocol';
import { Engine } from '../../src/worker/engine';
import type { EngineEvent, EngineRequest } from '../../src/worker/protocol';
import type { RunConfig, StepLine, TrainingEvent, TrainingRequest } from '../../src/worker/training-protocol';

type Posted = EngineEvent | TrainingEvent | BenchEvent;
type Of<T extends Posted['type']> = Extract<Posted, { type: T }>;

/** Everything that the engine posted, and those who wait for some of it. */
class Page {
  readonly events: Posted[] = [];
  private waiting: (() => void)[] = [];
  readonly engine = new Engine((event) => {
    if (event.type === 'frame') event.thumbnail.close();
    this.events.push(event);
    for (const wake of this.waiting.splice(0)) wake();
  });

  /** The next event of a type from place `from` on for which `is` holds. An error of the engine fails. */
  async next<T extends Posted['type']>(
    type: T,
    from = 0,
    is: (event: Of<T>) => boolean = () => true,
  ): Promise<Of<T>> {
    for (;;) {
      const found = this.events.slice(from).find((event) => event.type === type && is(event as Of<T>));
      if (found) return found as Of<T>;
      const error = this.events.slice(from).find((event) => event.type === 'error');
      if (error) throw new Error(`In place of ${type}: ${JSON.stringify(error)}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  send(request: EngineRequest | TrainingRequest): number {
    const from = this.events.length;
    this.engine.handle(request);
    return from;
  }

  /** Sends a request and gives the event that answers it. */
  ask<T extends Posted['type']>(type: T, request: EngineRequest | TrainingRequest): Promise<Of<T>> {
    return this.next(type, this.send(request));
  }
}

const config: RunConfig = {
  stage: 'grpo',
  grpo: {
    ...TOY,
    num_generations: 2,
    questions_per_step: 2,
    max_completion_length: 8,
    max_steps: 3,
    seed: 11,
  },
  lora: { ...DEFAULT_LORA, r: 4, target_modules: ['self_attn.q_proj', 'mlp.down_proj'] },
  rewards: [{ name: 'user_reward', weight: 1, code: 'length' }],
  max_length_reward: 300,
  eval_questions: 2,
  eval_steps: 0,
  save_steps: 10,
  kl_limit: 0,
};

/** A line without what the clock decides. */
const numbers = (lines: readonly StepLine[]) =>
  lines.map(({ step_time: _, tokens_per_second: __, ...line }) => line);

let id = 0;
const page = new Page();
/** The page's sandbox: rewards long words. */
const sandbox = (texts: string[]) => ({ scores: texts.map((text) => text.length / 10) }) as object;
const watch = async () => {
  for (let from = 0; ; ) {
    const call = await page.next('score-answers', from);
    from = page.events.indexOf(call) + 1;
    const reply = sandbox(call.answers.map(({ text }) => text));
    page.engine.handle({ type: 'scores', call: call.call, ...reply });
  }
};

beforeAll(async () => {
  for await (const name of (await navigator.storage.getDirectory()).keys())
    await (await navigator.storage.getDirectory()).removeEntry(name, { recursive: true });
  void watch().catch(() => undefined);
  await page.ask('model-ready', {
    type: 'load-model',
    id: ++id,
    source: { kind: 'url', url: '/models/toy-base/' },
    name: 'Toy base',
    backend: 'wgsl',
  });
});
afterAll(async () => {
  for (const { run } of (await page.ask('runs', { type: 'list-runs', id: ++id })).runs)
    await page.ask('runs', { type: 'delete-run', id: ++id, run });
});

describe('a run', { timeout: 120_000 }, () => {
  it('that is paused in the middle of a step and resumed gives the numbers of an uninterrupted one', async () => {
    const from = page.send({ type: 'start-run', id: ++id, name: 'Whole', config, data: { kind: 'toy' } });
    const whole = (await page.next('run-started', from)).run.run;
    await page.next('run-state', from, ({ run, state }) => run === whole && state === 'done');
    const told = page.events.slice(from);
    expect(told.filter((event) => event.type === 'run-eval')).toHaveLength(2);
    expect(told.filter((event) => event.type === 'group-scored')).toHaveLength(6);
    const reference = await page.ask('run-data', { type: 'read-run', id: ++id, run: whole });
    expect(reference.lines).toHaveLength(3);
    expect(reference.checkpoints).toEqual([3]);
    expect(reference.completions).toHaveLength(12);

    const start = page.send({ type: 'start-run', id: ++id, name: 'Cut', config, data: { kind: 'toy' } });
    const cut = (await page.next('run-started', start)).run.run;
    await page.next('run-step', start);
    // Step 2 has begun to write.
    await page.next('group-traces', start, ({ question }) => question >= 2);
    page.send({ type: 'pause-run' });
    await page.next('run-state', start, ({ state }) => state === 'paused');
    const paused = await page.ask('run-data', { type: 'read-run', id: ++id, run: cut });
    expect(paused.run).toMatchObject({ state: 'paused', step: 1, saved_step: 1, max_steps: 3 });
    expect(paused.checkpoints).toEqual([1]);

    const again = page.send({ type: 'resume-run', id: ++id, run: cut });
    await page.next('run-state', again, ({ state }) => state === 'done');
    const resumed = await page.ask('run-data', { type: 'read-run', id: ++id, run: cut });
    expect(numbers(resumed.lines)).toEqual(numbers(reference.lines));
    expect(resumed.evals).toEqual(reference.evals);
    expect(resumed.completions).toEqual(reference.completions);
    expect(resumed.events.map(({ code }) => code)).toEqual([
      'started',
      'eval',
      'saved',
      'paused',
      'resumed',
      'eval',
      'saved',
      'done',
    ]);
  });
});
