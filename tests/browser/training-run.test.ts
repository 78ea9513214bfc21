import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TOY } from '../../src/grpo/grpo-config';
import { DEFAULT_LORA } from '../../src/lora/lora-config';
import { tabRunChanges } from '../../src/storage/run-changes';
import type { RunConfig, RunExport, StepLine, TrainingData } from '../../src/worker/training-protocol';
import { EnginePage } from '../support/engine-page';
import { findBox, parseBoxes, writeBoxes } from '../support/mp4-tree';

const config: RunConfig = {
  stage: 'grpo',
  grpo: {
    ...TOY,
    num_generations: 2,
    questions_per_step: 1,
    max_completion_length: 8,
    max_steps: 2,
    seed: 11,
  },
  lora: { ...DEFAULT_LORA, r: 4, target_modules: ['self_attn.q_proj', 'mlp.down_proj'] },
  rewards: [{ name: 'user_reward', weight: 1, code: 'length' }],
  max_length_reward: 300,
  eval_questions: 1,
  eval_steps: 0,
  save_steps: 5,
  kl_limit: 0,
};

/** A line without what the clock decides. */
const numbers = (lines: readonly StepLine[]) =>
  lines.map(({ step_time: _, tokens_per_second: __, ...line }) => line);

let id = 0;
const page = new EnginePage();
/** Devices that the engine opened, in order. */
const devices: GPUDevice[] = [];
/** Stands in for the page's sandbox: rewards long answers. */
const lengths = (texts: string[]) => ({ scores: texts.map((text) => text.length / 10) });
let sandbox: (texts: string[]) => { scores: number[] } | { error: string } = lengths;
page.onCall = ({ call, answers }) => {
  const texts = answers.map(({ text }) => text);
  page.engine.handle({ type: 'scores', call, ...sandbox(texts) });
};

const state = (from: number, wanted: string) =>
  page.next('run-state', from, (event) => event.state === wanted);
const read = (run: string) => page.ask('run-data', { type: 'read-run', id: ++id, run });
const files = async (run: string, what: RunExport) =>
  (await page.ask('run-files', { type: 'export-run', id: ++id, run, what })).files;

let clip: Blob;
beforeAll(async () => {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry('runs', { recursive: true }).catch(() => undefined);
  const { requestDevice } = GPUAdapter.prototype;
  vi.spyOn(GPUAdapter.prototype, 'requestDevice').mockImplementation(async function (
    this: GPUAdapter,
    descriptor,
  ) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  });
  const source = { kind: 'url' as const, url: '/models/toy-base/' };
  await page.ask('model-ready', { type: 'load-model', id: ++id, source, name: 'Toy base', backend: 'wgsl' });
  clip = await (await fetch('/samples/one-moves.mp4')).blob();
});
afterAll(() => {
  vi.restoreAllMocks();
  for (const device of devices) device.destroy();
});

describe('runs', { timeout: 240_000 }, () => {
  let whole: string;
  let cut: string;

  it('give the same numbers uninterrupted and after a failed reward, a pause and a lost GPU', async () => {
    const start = page.send({ type: 'start-run', id: ++id, name: 'Whole', config, data: { kind: 'toy' } });
    whole = (await page.next('run-started', start)).run.run;
    await state(start, 'done');
    const told = page.events.slice(start);
    expect(told.filter((event) => event.type === 'run-eval')).toHaveLength(2);
    expect(told.filter((event) => event.type === 'group-scored')).toHaveLength(2);
    const reference = await read(whole);
    expect(reference.lines).toHaveLength(2);
    expect(reference.completions).toHaveLength(4);

    sandbox = () => ({ error: 'label is undefined' });
    let from = page.send({ type: 'start-run', id: ++id, name: 'Cut', config, data: { kind: 'toy' } });
    cut = (await page.next('run-started', from)).run.run;
    expect((await state(from, 'paused')).message).toMatch(
      /^The reward function failed\. user_reward threw "label is undefined" on 2 of 2 answers at step 1\. The run is paused/,
    );
    expect((await read(cut)).lines).toEqual([]);

    sandbox = lengths;
    from = page.send({ type: 'resume-run', id: ++id, run: cut });
    // Step 2 has begun to write.
    await page.next('group-traces', from, ({ question }) => question === 1);
    page.send({ type: 'pause-run' });
    await state(from, 'paused');
    const paused = await read(cut);
    expect(paused.run).toMatchObject({ state: 'paused', step: 1, saved_step: 1, max_steps: 2 });
    expect(paused.checkpoints).toEqual([1]);

    from = page.send({ type: 'resume-run', id: ++id, run: cut });
    await page.next('group-traces', from, ({ question }) => question === 1);
    devices.at(-1)!.destroy();
    await page.next('device-lost', from);
    await state(from, 'done');
    expect(page.events.slice(from).filter((event) => event.type === 'error')).toEqual([]);
    const resumed = await read(cut);
    expect(numbers(resumed.lines)).toEqual(numbers(reference.lines));
    expect(resumed.evals).toEqual(reference.evals);
    expect(resumed.completions).toEqual(reference.completions);
    expect(resumed.events.map(({ code }) => code).join(' ')).toBe(
      'started eval reward-failed resumed saved paused resumed device-lost resumed eval saved done',
    );
    expect(await bytesOf(await files(cut, 'adapter'))).toEqual(await bytesOf(await files(whole, 'adapter')));
  });

  it('go on without a question that a reward failed on, and with settings that were changed meanwhile', async () => {
    sandbox = () => ({ error: 'label is undefined' });
    const lr_scheduler_type = 'constant' as const;
    const once = { ...config, eval_questions: 0, grpo: { ...config.grpo, max_steps: 1, lr_scheduler_type } };
    let from = page.send({ type: 'start-run', id: ++id, name: 'Skip', config: once, data: { kind: 'toy' } });
    const { run } = (await page.next('run-started', from)).run;
    const { prompt } = await page.next('group-started', from);
    await state(from, 'paused');
    sandbox = lengths;
    const refused = { type: 'resume-run', id: ++id, run, settings: { beta: -1 } } as const;
    await expect(page.ask('run-started', refused)).rejects.toThrow('beta is a number from 0');
    const settings = { learning_rate: 1e-5, beta: once.grpo.beta };
    from = page.send({ type: 'resume-run', id: ++id, run, skip_question: true, settings });
    expect((await page.next('run-started', from)).config.grpo.learning_rate).toBe(1e-5);
    expect((await page.next('group-started', from)).prompt).not.toBe(prompt);
    await state(from, 'done');
    const { events, lines, config: kept } = await read(run);
    const told = events.map(({ code, text }) =>
      code === 'question-skipped' || code === 'changed' ? text : code,
    );
    expect(told.join(', ')).toBe(
      'started, reward-failed, learning_rate 0.00001, question 1 is left out, resumed, saved, done',
    );
    expect(lines).toMatchObject([{ step: 1, learning_rate: 1e-5 }]);
    expect(kept.grpo).toEqual({ ...once.grpo, learning_rate: 1e-5 });
    await page.ask('runs', { type: 'delete-run', id: ++id, run });
  });

  it('pass over a clip that cannot be decoded, and ask for their folder again', async () => {
    // The tables stay, the pictures do not.
    const tree = parseBoxes(new Uint8Array(await clip.arrayBuffer()));
    findBox(tree, 'mdat').payload.fill(0);
    const broken = writeBoxes(tree);
    const row = (video: string, word: string) => ({
      problem: `${word} moves?\nOptions:\nA. it\nB. none`,
      solution: '<answer>A</answer>',
      video_filename: `./NExTVideo/${video}`,
    });
    const rows = [row('1/a.mp4', 'What'), row('2/a.mp4', 'Which'), row('2/gone.mp4', 'Who')];
    const questions = new Blob([rows.map((one) => JSON.stringify(one)).join('\n')]);
    const videos = [new File([clip], 'a.mp4'), new File([broken], 'a.mp4')];
    const folder = { videos, paths: ['NExTVideo/1/a.mp4', 'NExTVideo/2/a.mp4'], folder: 'NExTVideo' };
    const data: TrainingData = { kind: 'files', name: 'q.jsonl', questions, ...folder };
    const three = { ...config, grpo: { ...config.grpo, max_steps: 3 } };
    const begin = async (name: string) => {
      const from = page.send({ type: 'start-run', id: ++id, name, config: three, data });
      return { from, run: (await page.next('run-started', from)).run.run };
    };
    const whole = await begin('Whole');
    await state(whole.from, 'done');
    const reference = await read(whole.run);
    expect(reference.run).toMatchObject({ data: 'files', folder: 'NExTVideo' });
    const skipped = reference.lines.map(({ skipped_questions }) => skipped_questions!);
    // Two questions in three steps: each pass meets the clip once.
    expect(skipped.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1);
    expect(new Set(reference.completions.map(({ prompt }) => prompt))).toEqual(new Set([rows[0]!.problem]));
    const told = reference.events.filter(({ code }) => code === 'question-skipped');
    expect(told).toHaveLength(1);
    expect(told[0]!.text).toMatch(/^\.\/NExTVideo\/2\/a\.mp4 is left out: /);

    const { from, run } = await begin('Halves');
    await page.next('group-traces', from, ({ question }) => question === 1);
    page.send({ type: 'pause-run' });
    await state(from, 'paused');
    const other = { ...folder, paths: ['NExTVideo/1/b.mp4', 'NExTVideo/2/b.mp4'] };
    const wrong = page.send({ type: 'resume-run', id: ++id, run, videos: other });
    await expect(page.next('run-started', wrong)).rejects.toThrow(
      /not the folder that Halves began with, NExTVideo\. \.\/NExTVideo\/1\/a\.mp4 is not among the videos\. So it is with 1 more\./,
    );
    // Found by its name alone.
    const short = { ...folder, videos: [new File([clip, 'x'], 'a.mp4')], paths: ['Other/a.mp4'] };
    const changed = page.send({ type: 'resume-run', id: ++id, run, videos: short });
    await expect(page.next('run-started', changed)).rejects.toThrow(/1\/a\.mp4 is another file there\./);
    // A video that was missing at the start changes nothing when it turns up.
    const more = {
      ...folder,
      videos: [...videos, new File([clip], 'gone.mp4')],
      paths: [...folder.paths, 'NExTVideo/2/gone.mp4'],
    };
    const again = page.send({ type: 'resume-run', id: ++id, run, videos: more });
    await state(again, 'done');
    const resumed = await read(run);
    expect(numbers(resumed.lines)).toEqual(numbers(reference.lines));
    expect(resumed.completions).toEqual(reference.completions);
    for (const one of [run, whole.run]) await page.ask('runs', { type: 'delete-run', id: ++id, run: one });
  });

  it('are named, listed, held by one tab, and deleted', async () => {
    await page.ask('runs', { type: 'rename-run', id: ++id, run: whole, name: 'Reference' });
    const { runs } = await page.ask('runs', { type: 'list-runs', id: ++id });
    expect(runs.map(({ name }) => name)).toEqual(['Cut', 'Reference']);
    expect(runs[0]).toMatchObject({ state: 'done', step: 2, saved_step: 2, data: 'toy', model: 'Toy base' });
    expect(runs[0]!.bytes).toBeGreaterThan(10_000);
    let release = () => {};
    await new Promise<void>((taken) => {
      void navigator.locks.request(`run ${whole}`, () => {
        taken();
        return new Promise<void>((done) => {
          release = done;
        });
      });
    });
    const from = page.send({ type: 'resume-run', id: ++id, run: whole });
    await expect(page.next('run-started', from)).rejects.toThrow('Reference is open in another tab');
    release();
    const told = page.events.length;
    tabRunChanges(() => {}).tell();
    await page.next('runs-changed', told);
    await page.ask('runs', { type: 'delete-run', id: ++id, run: whole });
    const left = await page.ask('runs', { type: 'list-runs', id: ++id });
    expect(left.runs.map(({ run }) => run)).toEqual([cut]);
  });

  it('give an adapter that answers beside the base, from the run and from its files alike', async () => {
    await page.ask('video-ready', { type: 'open-video', id: ++id, file: clip, name: 'one-moves.mp4' });
    const fromRun = await page.ask('adapters', { type: 'load-adapter', id: ++id, from: { run: cut } });
    expect(fromRun.adapters).toMatchObject([{ name: 'Cut', run: cut, step: 2, r: 4 }]);
    const exported = (await files(cut, 'adapter')).map(({ name, blob }) => new File([blob], name));
    const from = { files: exported, name: 'mine' };
    const both = await page.ask('adapters', { type: 'load-adapter', id: ++id, from });
    expect(both.adapters.map(({ name }) => name)).toEqual(['Cut', 'mine']);
    const asked = page.send({
      type: 'ask',
      id: ++id,
      question: { text: 'Which object moves?', options: [], reasoning: true },
      settings: { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 12, seed: 1 },
      num_generations: 1,
      adapters: ['', ...both.adapters.map(({ adapter }) => adapter)],
    });
    await page.next('ask-done', asked);
    const answers = page.events.slice(asked).filter((event) => event.type === 'answered');
    expect(answers.map(({ sample }) => sample)).toEqual([0, 1, 2]);
    const logps = (sample: number) =>
      page.events
        .slice(asked)
        .flatMap((event) =>
          event.type === 'tokens' && event.sample === sample ? event.tokens.map(({ logp }) => logp) : [],
        );
    expect(logps(1).length).toBeGreaterThan(3);
    expect(logps(2)).toEqual(logps(1));
    expect(logps(1)).not.toEqual(logps(0));
    // A fork of the adapter's answer is the adapter's: with the token that was drawn, it is the same answer again.
    const ids = page.events
      .slice(asked)
      .flatMap((event) => (event.type === 'tokens' && event.sample === 2 ? event.tokens : []))
      .map((token) => token.id);
    const forked = page.send({
      type: 'ask',
      id: ++id,
      question: { text: 'Which object moves?', options: [], reasoning: true },
      settings: { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 9, seed: 1 },
      num_generations: 1,
      fork: { ask: id - 1, sample: 2, tokens: ids.slice(0, 3) },
    });
    await page.next('ask-done', forked);
    const own = page.events
      .slice(forked)
      .flatMap((event) => (event.type === 'tokens' ? event.tokens.map(({ logp }) => logp) : []));
    for (const [i, logp] of own.entries()) expect(logp).toBeCloseTo(logps(1)[3 + i]!, 4);
    expect(own).toHaveLength(logps(1).length - 3);
    const rest = await page.ask('adapters', {
      type: 'unload-adapter',
      id: ++id,
      adapter: both.adapters[0]!.adapter,
    });
    expect(rest.adapters.map(({ name }) => name)).toEqual(['mine']);
  });

  it('train on the user’s own clips, which are kept with the run and exported with the questions', async () => {
    const own = { label: 'B', clip, video_filename: 'my clip.mp4' };
    const options = 'Options:\nA. up\nB. down';
    const data: TrainingData = {
      kind: 'own',
      questions: [
        { ...own, problem: `Where does it go?\n${options}` },
        { ...own, problem: `Which way?\n${options}` },
      ],
    };
    const { report } = await page.ask('data-report', { type: 'check-data', id: ++id, data });
    expect(report).toMatchObject({ usable: 2, total: 2, problem_count: 0, held_out: 0 });
    const once = {
      ...config,
      grpo: { ...config.grpo, max_steps: 9, lr_scheduler_type: 'constant' as const },
    };
    const from = page.send({ type: 'start-run', id: ++id, name: 'Own', config: once, data });
    const { run } = (await page.next('run-started', from)).run;
    page.send({ type: 'change-run', settings: { learning_rate: 1e-5 } });
    await page.next('run-step', from);
    page.send({ type: 'stop-run' });
    await state(from, 'stopped');
    const { lines, config: kept } = await read(run);
    expect(lines).toMatchObject([{ step: 1, learning_rate: 1e-5 }]);
    expect(kept.grpo.learning_rate).toBe(1e-5);
    const written = await files(run, 'questions');
    expect(written.map(({ name }) => name)).toEqual(['questions.jsonl', 'clips/my-clip.mp4']);
    expect(written[1]!.blob.size).toBe(clip.size);
    const videos = [new File([written[1]!.blob], 'my-clip.mp4')];
    const again: TrainingData = { kind: 'files', name: 'q', questions: written[0]!.blob, videos };
    const second = await page.ask('data-report', { type: 'check-data', id: ++id, data: again });
    expect(second.report).toMatchObject({ usable: 2, problem_count: 0 });
    const script = (await files(run, 'trl')).map(({ name }) => name);
    expect(script).toContain('train.py');
    expect(script).toContain('adapter/adapter_model.safetensors');
    expect(script).toContain('clips/my-clip.mp4');
  });

  it('have a memory plan before they start', async () => {
    const { plan } = await page.ask('memory-plan', { type: 'plan-memory', id: ++id, config });
    expect(plan.parts.find(({ name }) => name === 'weights')!.bytes).toBeGreaterThan(1e6);
    expect(plan.bytes).toBeGreaterThan(plan.parts.find(({ name }) => name === 'weights')!.bytes);
    expect(plan.largestBuffer).toBeLessThan(plan.maxBufferSize);
    const more = { ...config, grpo: { ...config.grpo, num_generations: 16 } };
    const larger = await page.ask('memory-plan', { type: 'plan-memory', id: ++id, config: more });
    expect(larger.plan.bytes).toBeGreaterThan(plan.bytes);
  });

  it('of the cold start learn given traces by heart', async () => {
    const human = { from: 'human', value: '<image>\nWhich object moves?' };
    const gpt = { from: 'gpt', value: '<think> It is red. </think> <answer> A </answer>' };
    const rows = [{ video: 'one.mp4', conversations: [human, gpt] }];
    const videos = [new File([clip], 'one.mp4')];
    const data: TrainingData = {
      kind: 'files',
      name: 'traces.json',
      questions: new Blob([JSON.stringify(rows)]),
      videos,
    };
    const { report } = await page.ask('data-report', { type: 'check-data', id: ++id, data });
    expect(report).toMatchObject({ usable: 1, total: 1, held_out: 0 });
    const cold: RunConfig = {
      ...config,
      stage: 'cold-start',
      grpo: { ...config.grpo, max_steps: 3, learning_rate: 1e-2 },
    };
    const from = page.send({ type: 'start-run', id: ++id, name: 'Cold', config: cold, data });
    const { run } = (await page.next('run-started', from)).run;
    await state(from, 'done');
    const losses = (await read(run)).lines.map(({ loss }) => loss!);
    expect(losses).toHaveLength(3);
    expect(losses[2]).toBeLessThan(0.9 * losses[0]!);
  });
});

async function bytesOf(given: { name: string; blob: Blob }[]): Promise<[string, Uint8Array][]> {
  return Promise.all(
    given.map(
      async ({ name, blob }): Promise<[string, Uint8Array]> => [
        name,
        new Uint8Array(await blob.arrayBuffer()),
      ],
    ),
  );
}
