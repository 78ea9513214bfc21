import { BatchGenerator } from '../../generate/batch-generator';
import { readTrainingCheckpoint, writeTrainingCheckpoint } from '../../grpo/checkpoint';
import { isOutOfMemory } from '../../grpo/memory-plan';
import { LoraAdapter } from '../../lora/adapter';
import type { SavedCheckpoint } from '../../storage/checkpoints';
import { StorageError } from '../../storage/errors';
import type { OpenRun } from '../../storage/run-store';
import { isLost } from '../session';
import type { LiveSettings, RunConfig, RunEvent, RunState, TrainingEvent } from '../training-protocol';
import { ColdStartStage } from './cold-start-stage';
import { GrpoStage } from './grpo-stage';
import { checkHeldOut } from './held-out-check';
import { Pause, pauseFor, QuestionError, type RunEnding } from './run-ending';
import type { RunStage, RunUse, StageContext } from './run-stage';
import { changeSettings, type StoredRun } from './stored-run';
import type { PassedOver } from './video-tokens';

/** What a run holds on the GPU. */
interface Held {
  adapter: LoraAdapter;
  stage: RunStage;
  generator: BatchGenerator;
  /** Updates of the whole steps: a step that was cut off between two of its own has changed the adapter for nothing. */
  updates: number;
}

/** A run while it goes on: steps, checks, checkpoints, and what is told of them. */
export class RunSession {
  private readonly ending = new AbortController();
  private held: Held | undefined;
  /** What is on the GPU, the last first: also where not all of it came about. */
  private readonly made: { destroy(): void }[] = [];
  private saving = false;
  private abandoned = false;
  /** Steps whose held-out check is done. */
  private readonly checked: Set<number>;
  /** Videos that were told to be passed over. */
  private readonly passed = new Set<string>();

  /** @param checked steps with a line in `evals.jsonl`. */
  constructor(
    private readonly use: RunUse,
    private readonly open: OpenRun<StoredRun>,
    checked: readonly number[],
  ) {
    this.checked = new Set(checked);
  }

  /** The run's id. */
  get run(): string {
    return this.open.header.run;
  }

  /** As it is now. */
  get config(): RunConfig {
    return this.open.header.config;
  }

  /** What the list shows. */
  state: RunState = 'compiling';

  /** Ends the run for now: the step under way is dropped. */
  pause(): void {
    this.ending.abort(new Pause('paused', 'paused', 'paused by you'));
  }

  /** Ends the run. */
  stop(): void {
    this.ending.abort(new Pause('stopped', 'stopped', 'stopped by you'));
  }

  /** Writes a checkpoint after the step under way. */
  save(): void {
    this.saving = true;
  }

  /** Changes settings from the next step on. */
  async change(settings: LiveSettings): Promise<void> {
    // The trainer reads them from the run's configuration at each step.
    const text = await changeSettings(this.open, settings);
    if (text) await this.event('changed', text);
  }

  /** Gives the run another name. */
  rename(name: string): Promise<void> {
    return this.open.update({ name });
  }

  /** The GPU is lost: nothing of this session counts any more, and the run can be opened again. */
  async abandon(): Promise<void> {
    this.abandoned = true;
    this.ending.abort(new Error('The GPU was lost.'));
    await this.event('device-lost', 'the GPU was reset').catch(() => undefined);
    await this.open.close();
  }

  /**
   * Goes on until the run ends, or is paused or stopped. What the run holds on the GPU and on disk is free then.
   * @param checkpoint where it goes on; without one, from the start.
   * @returns how it ended, which is still to be told.
   */
  async go(
    checkpoint: SavedCheckpoint | undefined,
    began: RunEvent['code'],
    text: string,
  ): Promise<RunEnding> {
    try {
      await this.setState('compiling', 'compiling shaders');
      await this.use.testKernels();
      this.signal.throwIfAborted();
      const held = await this.prepare(checkpoint);
      this.signal.throwIfAborted();
      await this.event(began, text);
      await this.setState('running');
      await this.steps(held);
      await this.writeCheckpoint(held);
      await this.event('done', `${held.stage.trainer.step} steps`);
      return await this.endAs({ state: 'done' });
    } catch (cause) {
      return await this.ended(cause);
    } finally {
      for (const part of this.made) part.destroy();
      this.use.source.destroy();
      await this.open.close();
    }
  }

  private get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** Steps done. */
  get step(): number {
    return this.held?.stage.trainer.step ?? this.open.header.saved_step;
  }

  private async prepare(checkpoint: SavedCheckpoint | undefined): Promise<Held> {
    const { gpu, model } = this.use;
    const { config } = this.open.header;
    const { text_config } = model.config;
    const restored =
      checkpoint &&
      (await readTrainingCheckpoint(
        gpu,
        async (name) => {
          const bytes = checkpoint.files.get(name);
          if (!bytes) throw new Error(`The checkpoint of step ${checkpoint.step} has no ${name}.`);
          return bytes;
        },
        text_config,
      ));
    const adapter = restored?.adapter ?? LoraAdapter.create(gpu, config.lora, text_config);
    this.made.unshift(adapter);
    if (!restored) adapter.initialise(config.grpo.seed);
    const context: StageContext = {
      run: this.run,
      use: this.use,
      config: () => this.config,
      signal: this.signal,
      post: (event) => this.post(event),
      passedOver: (passed) => this.passedOver(passed),
      skips: (question) => this.open.header.skips?.[question] ?? 0,
      progress: (...told) => this.progress(...told),
    };
    const stage: RunStage =
      config.stage === 'cold-start'
        ? await ColdStartStage.create(context, adapter)
        : await GrpoStage.create(context, adapter);
    this.made.unshift(stage);
    if (restored) stage.trainer.restore(restored);
    const generator = await BatchGenerator.create(gpu, model);
    this.made.unshift(generator);
    this.held = { adapter, stage, generator, updates: stage.trainer.optimiser.step };
    await gpu.memory.check();
    return this.held;
  }

  private async steps(held: Held): Promise<void> {
    const { trainer } = held.stage;
    // Read anew each time: both may change while the run goes on.
    const config = () => this.open.header.config;
    while (trainer.step < config().grpo.max_steps) {
      const { eval_steps } = config();
      if (trainer.step === 0 || (eval_steps > 0 && trainer.step % eval_steps === 0)) await this.check(held);
      this.signal.throwIfAborted();
      await this.takeStep(held);
      if (this.saving || trainer.step % config().save_steps === 0) await this.writeCheckpoint(held);
    }
    await this.check(held);
  }

  private async check({ stage, generator }: Held): Promise<void> {
    const { use, run } = this;
    const { config } = this.open.header;
    const count = Math.min(config.eval_questions, use.source.heldOutCount);
    const { step } = stage.trainer;
    if (count === 0 || this.checked.has(step)) return;
    const found = await checkHeldOut({
      model: use.model,
      generator,
      steps: stage.steps,
      source: {
        heldOut: async (number, signal) => {
          const question = await use.source.heldOut(number, signal);
          if ('message' in question) await this.passedOver([question]);
          return question;
        },
      },
      count,
      max_new_tokens: config.grpo.max_completion_length,
      signal: this.signal,
      onProgress: (done, total) => this.progress(`held-out questions, ${done} of ${total}`, done, total),
    });
    this.checked.add(step);
    const line = { step, ...found };
    await this.open.append('evals', [line]);
    use.post({ type: 'run-eval', run, line });
    await this.event('eval', `held-out check, ${Math.round(100 * line.accuracy_sampled)}%`);
  }

  private async takeStep(held: Held): Promise<void> {
    const { stage } = held;
    const { run } = this;
    const { post, gpu } = this.use;
    const { line, rows } = await stage.take();
    held.updates = stage.trainer.optimiser.step;
    if (this.abandoned) return;
    await this.open.append('log', [line]);
    await this.open.append('completions', rows);
    post({ type: 'run-step', run, line });
    const { bytes, peakBytes } = gpu.memory;
    post({ type: 'memory', bytes, peakBytes });
    if (line.skipped_updates) await this.event('update-skipped', 'a gradient was not finite');
    await this.watchKl(line.kl);
  }

  /** Pauses above the limit; once resumed, the run goes on until KL has been below it and is above it again. */
  private async watchKl(kl: number | undefined): Promise<void> {
    const { config, kl_warned = false } = this.open.header;
    const limit = config.kl_limit;
    if (kl === undefined || !(limit > 0)) return;
    if (kl <= limit) {
      if (kl_warned) await this.open.update({ kl_warned: false });
      return;
    }
    if (kl_warned) return;
    await this.open.update({ kl_warned: true });
    const text = `KL ${kl.toFixed(2)}, the limit is ${limit}`;
    throw new Pause(
      'paused',
      'kl-high',
      text,
      `KL is high: ${kl.toFixed(2)}, your limit is ${limit}. The model has drifted far from where it began and may ` +
        'lose its format. Raise beta or lower learning_rate, then go on, or go back to an earlier step.',
    );
  }

  /** Says it once of each video. */
  private async passedOver(passed: readonly PassedOver[]): Promise<void> {
    for (const { video_filename, message } of passed) {
      if (this.passed.has(video_filename)) continue;
      this.passed.add(video_filename);
      await this.event('question-skipped', `${video_filename} is left out: ${message}`);
    }
  }

  private async writeCheckpoint({ adapter, stage }: Held): Promise<void> {
    this.saving = false;
    const { step, num_tokens, optimiser } = stage.trainer;
    const { config, model, saved_step } = this.open.header;
    if (step === saved_step) return;
    try {
      const written = await writeTrainingCheckpoint(adapter, optimiser, { step, num_tokens, config }, model);
      const files = new Map(
        Object.entries(written).map(([name, content]) => [
          name,
          typeof content === 'string' ? new TextEncoder().encode(content) : content,
        ]),
      );
      await this.open.saveCheckpoint(step, files, {});
    } catch (cause) {
      if (!(cause instanceof StorageError) || cause.code !== 'full') throw cause;
      await this.event('storage-full', 'not saved: storage is full').catch(() => undefined);
      this.tell(this.state, { message: `Step ${step} could not be saved. ${cause.message}` });
      return;
    }
    await this.open.update({ saved_step: step });
    await this.event('saved', 'checkpoint saved');
  }

  /** What an error, or the user, makes of the run. */
  private async ended(cause: unknown): Promise<RunEnding> {
    const { held } = this;
    const pause = pauseFor(cause, this.step + 1);
    // What a lost GPU makes of a step is not told: the engine opens it again, and the run goes on.
    if (this.abandoned || (!pause && (await isLost(this.use.gpu, cause)))) return { state: 'paused' };
    try {
      if (cause instanceof QuestionError) await this.open.update({ failed_question: cause.question });
      if (held && held.stage.trainer.optimiser.step === held.updates) await this.writeCheckpoint(held);
    } catch (failure) {
      // Without room for it the last checkpoint stays the last.
      if (pause && !(isOutOfMemory(cause) && isOutOfMemory(failure)))
        return this.endAs({ state: 'failed', message: String(failure), cause: failure });
    }
    if (pause) {
      await this.event(pause.code, pause.text).catch(() => undefined);
      return this.endAs({
        state: pause.state,
        ...(pause.sentence ? { message: pause.sentence } : {}),
        ...(isOutOfMemory(cause) ? { noRoom: cause } : {}),
      });
    }
    await this.event('paused', 'an error').catch(() => undefined);
    const message = cause instanceof Error ? cause.message : String(cause);
    return this.endAs({ state: 'failed', message, cause });
  }

  private async endAs(ending: RunEnding): Promise<RunEnding> {
    this.state = ending.state;
    await this.open.update({ state: ending.state }).catch(() => undefined);
    return ending;
  }

  private async setState(state: 'compiling' | 'running', detail?: string): Promise<void> {
    this.state = state;
    this.tell(state, detail ? { detail } : {});
    await this.open.update({ state });
  }

  private tell(state: RunState, words: { detail?: string; message?: string }): void {
    this.post({ type: 'run-state', run: this.run, state, step: this.step, ...words });
  }

  private async event(code: RunEvent['code'], text: string): Promise<void> {
    const event: RunEvent = { step: this.step, code, text, time: Date.now() };
    this.use.post({ type: 'run-event', run: this.run, event });
    await this.open.append('events', [event]);
  }

  private progress(label: string, done: number, total: number): void {
    this.post({ type: 'run-progress', run: this.run, label, done, total });
  }

  private post(event: TrainingEvent): void {
    if (!this.abandoned) this.use.post(event);
  }
}
