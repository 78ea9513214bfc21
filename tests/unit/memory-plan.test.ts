import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { presetConfig } from '../../src/app/train/presets';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import { longestProblem } from '../../src/data/question-file';
import { BatchGenerator } from '../../src/generate/batch-generator';
import { countingGpu } from '../../src/gpu/counting-gpu';
import type { Gpu } from '../../src/gpu/device';
import { probeMemory } from '../../src/gpu/probe-memory';
import { createTensor } from '../../src/gpu/tensor';
import { ColdStartTrainer } from '../../src/grpo/cold-start';
import { type GrpoConfig, TINYLLAVA_VIDEO_R1 } from '../../src/grpo/grpo-config';
import { planMemory } from '../../src/grpo/memory-plan';
import { GrpoTrainer } from '../../src/grpo/trainer';
import { LoraAdapter } from '../../src/lora/adapter';
import { kvRowBytes } from '../../src/model/kv-cache';
import { LanguageModel } from '../../src/model/language-model';
import { buildPrompt } from '../../src/model/prompt';
import { TinyLlava } from '../../src/model/tiny-llava';
import { IMAGE_TOKEN_INDEX } from '../../src/model/tokenizer';
import { planRunMemory } from '../../src/worker/training/plan-run-memory';
import type { PlannedData, RunConfig } from '../../src/worker/training-protocol';
import { goldenStore } from '../support/golden';

vi.stubGlobal('GPUBufferUsage', { STORAGE: 128, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, MAP_READ: 1 });
vi.stubGlobal('GPUMapMode', { READ: 1 });
afterAll(() => vi.unstubAllGlobals());

const lora = { r: 6, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS };
const grpo: GrpoConfig = {
  ...TINYLLAVA_VIDEO_R1,
  num_generations: 5,
  questions_per_step: 2,
  max_completion_length: 24,
};
const prompt_rows = 90;

/** The golden model on a GPU that only counts. */
async function loaded(): Promise<{ gpu: Gpu; model: TinyLlava }> {
  const gpu = countingGpu({
    device: { limits: { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31 } } as GPUDevice,
    adapter: { isFallback: true, limits: { maxComputeWorkgroupStorageSize: 16_384 } } as Gpu['adapter'],
    f16: false,
    subgroups: false,
    off: new Set(),
  });
  return { gpu, model: await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' }) };
}

// All of it on a GPU that only counts: the same code asks the same buffers of a real one (tests/gpu/memory-plan.test.ts).
describe('the memory plan', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  beforeAll(async () => {
    ({ gpu, model } = await loaded());
  });

  it('is within 5 % of what whole steps take at most, and takes nothing itself', async () => {
    const { bytes, buffers } = gpu.memory;
    const plan = await planMemory({ grpo, lora, prompt_rows }, { gpu, model });
    expect([gpu.memory.bytes, gpu.memory.buffers]).toEqual([bytes, buffers]);
    gpu.memory.resetPeak();
    const adapter = LoraAdapter.create(gpu, lora, model.config.text_config);
    const trainer = await GrpoTrainer.create(gpu, model, adapter, grpo, (texts) => texts.map((_, i) => i));
    // Nothing is drawn on this GPU, so answers go on to the end.
    const prompt_ids = Int32Array.from({ length: prompt_rows }, (_, i) => i);
    for (let step = 0; step < 2; step++) await trainer.train([{ prompt_ids }, { prompt_ids }]);
    const ratio = plan.bytes / gpu.memory.peakBytes;
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
    // Most of it is not the weights, so the ratio says something.
    expect(gpu.memory.peakBytes).toBeGreaterThan(2 * bytes);
    expect(plan.parts.find(({ name }) => name === 'weights')!.bytes).toBe(bytes);
    for (const part of plan.parts) expect(part.bytes, part.name).toBeGreaterThan(0);
    trainer.destroy();
    adapter.destroy();
  });

  it('of a cold start is within 5 % of what its steps take: a trace a question, nothing drawn', async () => {
    const cold = { stage: 'cold-start', grpo, lora, prompt_rows } as const;
    const plan = await planMemory(cold, { gpu, model });
    gpu.memory.resetPeak();
    const adapter = LoraAdapter.create(gpu, lora, model.config.text_config);
    const trainer = await ColdStartTrainer.create(gpu, model, adapter, grpo);
    const prompt_ids = Int32Array.from({ length: prompt_rows }, (_, i) => i);
    const tokens = new Array<number>(grpo.max_completion_length).fill(5);
    const given = Array.from({ length: grpo.questions_per_step }, () => ({
      prompt_ids,
      traces: [{ tokens }],
    }));
    for (let step = 0; step < 2; step++) await trainer.train(given);
    const ratio = plan.bytes / gpu.memory.peakBytes;
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
    trainer.destroy();
    adapter.destroy();
    const caches = plan.parts.filter(({ name }) => name.endsWith('caches') || name === 'prefix-cache');
    expect(caches.map((part) => part.bytes)).toEqual([0, 0]);

    // Fewer answers would change nothing, and shorter ones would not shorten the traces.
    const long = { ...cold, grpo: { ...grpo, questions_per_step: 1, max_completion_length: 600 } };
    const limit = (await planMemory(long, { gpu, model })).largestBuffer - 4;
    const limits = { maxBufferSize: limit, maxStorageBufferBindingSize: limit };
    const small: Gpu = { ...gpu, device: { limits } as GPUDevice };
    expect((await planMemory(long, { gpu: small, model })).suggestions).toEqual({});
  });

  it('is that of a held-out check where it takes more than a step', async () => {
    // Another model: what the steps before have left would be counted twice.
    const { gpu, model } = await loaded();
    const one = { ...grpo, num_generations: 2, questions_per_step: 1 };
    const run = { grpo: one, lora, prompt_rows };
    const plan = await planMemory({ ...run, held_out: 16 }, { gpu, model });
    expect(plan.bytes).toBeGreaterThan(1.2 * (await planMemory(run, { gpu, model })).bytes);
    gpu.memory.resetPeak();
    const adapter = LoraAdapter.create(gpu, lora, model.config.text_config);
    const trainer = await GrpoTrainer.create(gpu, model, adapter, one, (texts) => texts.map((_, i) => i));
    const generator = await BatchGenerator.create(gpu, model);
    const { num_queries } = model.config.connector;
    const prompt_ids = new Int32Array(prompt_rows - num_queries + 1).fill(5);
    prompt_ids[0] = IMAGE_TOKEN_INDEX;
    const shape = [num_queries, model.config.text_config.hidden_size];
    const asked = Array.from({ length: 17 }, (_, question) => ({
      prompt_ids,
      visual: createTensor(gpu, shape, 'f32', 'visual tokens'),
      question,
    }));
    const [first, ...held_out] = asked;
    const settings = { temperature: 1, top_k: 0, top_p: 1, seed: 1 };
    const drawn = generator.generate({
      prompts: held_out,
      answers: [0, 0].map((sample) => ({ sample, settings })),
      max_new_tokens: one.max_completion_length,
      steps: trainer.steps,
    });
    for await (const _ of drawn);
    for (const { visual } of held_out) visual.buffer.destroy();
    await trainer.train([first!]);
    const ratio = plan.bytes / gpu.memory.peakBytes;
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
    for (const part of [first!.visual.buffer, generator, trainer, adapter]) part.destroy();
  });

  it('has prompts as long as the longest question of the data, and their held-out questions', async () => {
    const config: RunConfig = {
      ...presetConfig('toy'),
      lora: { ...lora, target_modules: [...LORA_TARGETS] },
    };
    config.grpo = { ...config.grpo, ...grpo };
    const bytes = async (data: PlannedData) => {
      const { parts, bytes: all } = await planRunMemory({ gpu, model }, config, { probe: false, data });
      return { all, prefix: parts.find(({ name }) => name === 'prefix-cache')!.bytes };
    };
    const rows = (problem: string) =>
      model.tokenizer.encodePrompt(buildPrompt(problem)).length - 1 + model.config.connector.num_queries;
    const questions = ['Who?', 'Who runs after the red ball?', 'Why?'].map((problem) => ({ problem }));
    const longest = longestProblem(questions);
    expect(longest).toBe(questions[1]!.problem);
    const prefix = (problem: string) =>
      grpo.questions_per_step * rows(problem) * kvRowBytes(model.language.kvShape);
    const short = await bytes({ longest: 'Who?', held_out: 0 });
    const long = await bytes({ longest, held_out: 0 });
    expect([short.prefix, long.prefix]).toEqual([prefix('Who?'), prefix(longest!)]);
    expect(long.all).toBeGreaterThan(short.all);
    expect((await bytes({ longest, held_out: Number.POSITIVE_INFINITY })).all).toBeGreaterThan(long.all);
  });

  it('counts the activations of answers in the type that the model stores them in', async () => {
    const half = { ...gpu, f16: true };
    const { intermediate_size: M, ...text } = model.config.text_config;
    const plans = [];
    for (const activation_dtype of ['f32', 'f16'] as const) {
      const passes = { kv_dtype: 'f16', activation_dtype } as const;
      const { config, weights } = model;
      const language = await LanguageModel.create(half, WgslRuntime.create(half), config, weights, passes);
      plans.push(await planMemory({ grpo, lora, prompt_rows }, { gpu: half, model: { config, language } }));
    }
    const [f32, f16] = plans.map(({ parts }) => parts.find(({ name }) => name === 'other')!.bytes);
    const kv = text.num_key_value_heads * text.head_dim;
    // Prompts side by side: q, the attention's output, k, v; gate and up, which recorded steps of answers have of their own.
    const { questions_per_step, num_generations } = grpo;
    const [rows, answers] = [questions_per_step * prompt_rows, questions_per_step * num_generations];
    const attention = 2 * text.num_attention_heads * text.head_dim + 2 * kv;
    expect(f32! - f16!).toBe(2 * (rows * attention + (rows + answers) * 2 * M));
  });

  it('suggests what fits where the run does not', async () => {
    const run = { grpo: { ...grpo, num_generations: 6, max_completion_length: 128 }, lora, prompt_rows: 90 };
    const { bytes } = await planMemory(run, { gpu, model });
    const budget = { bytes: Math.round(0.45 * bytes), source: 'set' } as const;
    const plan = await planMemory(run, { gpu, model, budget });
    expect(plan.bytes).toBeGreaterThan(budget.bytes);
    const { num_generations, max_completion_length } = plan.suggestions!;
    expect(num_generations).toBeLessThan(6);
    expect(max_completion_length).toBeLessThan(128);
    const changed = { ...run, grpo: { ...run.grpo, num_generations: num_generations! } };
    const fits = await planMemory(changed, { gpu, model, budget });
    expect(fits.bytes).toBeLessThanOrEqual(budget.bytes);
    expect(fits.suggestions).toBeUndefined();
    expect(plan.impossible).toBeUndefined();

    // Room for the weights alone: no answer fits, which a probe that stops short does not show.
    const tiny = { grpo: { ...grpo, num_generations: 2 }, lora: { ...lora, r: 1 }, prompt_rows: 90 };
    const none = (source: 'set' | 'probed') =>
      planMemory(tiny, { gpu, model, budget: { bytes: gpu.memory.bytes, source } });
    expect(await none('set')).toMatchObject({ suggestions: {}, impossible: true });
    expect((await none('probed')).impossible).toBeUndefined();

    // Where the rank is what is too large, a smaller one is named.
    const small = { ...run, grpo: { ...grpo, num_generations: 2 } };
    const wide = { ...small, lora: { ...lora, r: 128 } };
    const needs = (await planMemory(wide, { gpu, model })).bytes;
    const room = { bytes: Math.round(0.7 * needs), source: 'set' } as const;
    const r = (await planMemory(wide, { gpu, model, budget: room })).suggestions?.r ?? 0;
    expect(r).toBeGreaterThan(0);
    expect(r).toBeLessThan(128);
    const narrow = { ...wide, lora: { ...lora, r } };
    expect((await planMemory(narrow, { gpu, model, budget: room })).bytes).toBeLessThanOrEqual(room.bytes);
  }, 60_000);

  it('suggests what fits where a buffer would be larger than one may be', async () => {
    const run = { grpo: { ...grpo, questions_per_step: 1, max_completion_length: 600 }, lora, prompt_rows };
    const free = await planMemory(run, { gpu, model });
    const limit = free.largestBuffer - 4;
    const limits = { maxBufferSize: limit, maxStorageBufferBindingSize: limit };
    const small: Gpu = { ...gpu, device: { limits } as GPUDevice };
    const plan = await planMemory(run, { gpu: small, model });
    expect(plan).toMatchObject({
      bytes: free.bytes,
      largestBuffer: free.largestBuffer,
      maxBufferSize: limit,
    });
    const { max_completion_length } = plan.suggestions!;
    const shorter = { ...run, grpo: { ...run.grpo, max_completion_length: max_completion_length! } };
    const fitting = await planMemory(shorter, { gpu: small, model });
    expect(fitting.suggestions).toBeUndefined();
    expect(fitting.largestBuffer).toBeLessThanOrEqual(limit);
  });

  it('finds what a GPU gives, and gives it back', async () => {
    const { bytes, buffers, peakBytes } = gpu.memory;
    expect(await probeMemory(gpu, bytes + 700 * 2 ** 20)).toBe(bytes + 700 * 2 ** 20);
    gpu.memory.budget = bytes + 600 * 2 ** 20;
    expect(await probeMemory(gpu, bytes + 2 ** 30)).toBe(bytes + 512 * 2 ** 20);
    gpu.memory.budget = Number.POSITIVE_INFINITY;
    expect([gpu.memory.bytes, gpu.memory.buffers, gpu.memory.peakBytes]).toEqual([bytes, buffers, peakBytes]);
  });
});
