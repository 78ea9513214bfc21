import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import { AnswerTree } from '../generate/answer-tree';
import { BatchGenerator } from '../generate/batch-generator';
import { GenerationError } from '../generate/errors';
import { countingGpu } from '../gpu/counting-gpu';
import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { PROBE_CHUNK } from '../gpu/probe-memory';
import { createTensor } from '../gpu/tensor';
import { LoraAdapter } from '../lora/adapter';
import type { LoraConfig } from '../lora/lora-config';
import type { DecoderSteps } from '../model/decoder-steps';
import { KvCache, type KvShape, kvRowBytes } from '../model/kv-cache';
import { LanguageModel } from '../model/language-model';
import type { LanguagePrompt } from '../model/language-model-inputs';
import type { TinyLlava } from '../model/tiny-llava';
import { IMAGE_TOKEN_INDEX } from '../model/tokenizer';
import { AdamW } from './adamw';
import type { GrpoConfig } from './grpo-config';
import { PolicyGradient } from './policy-gradient';
import { preparePasses } from './policy-passes';

/** What a run's memory is made of, in bytes. */
export interface MemoryPlan {
  /**
   * The caches and the backward pass take turns, so the parts may add up to more than `bytes`. `other`: activations and
   * the sampler's buffers, which stay between the two.
   */
  parts: {
    name: 'weights' | 'lora' | 'prefix-cache' | 'answer-caches' | 'backward' | 'other';
    bytes: number;
  }[];
  /** The most that is taken at one time. */
  bytes: number;
  /** What the adapter was found to give. `probed`: allocated under an error scope; `set`: by the user. */
  budget?: { bytes: number; source: 'probed' | 'set' };
  largestBuffer: number;
  maxBufferSize: number;
  /** Where it does not fit: settings that would, each alone enough; of a cold start the rank, traces being as they are. */
  suggestions?: { num_generations?: number; max_completion_length?: number; r?: number };
  /** Weights, adapter, prompts and a single answer are already more than there is room for. */
  impossible?: true;
}

/** What of a run decides its memory. */
export interface PlannedRun {
  /** A cold start draws nothing: a trace a question goes forward and backward. Default `grpo`. */
  stage?: 'grpo' | 'cold-start';
  grpo: Pick<
    GrpoConfig,
    'num_generations' | 'questions_per_step' | 'max_completion_length' | 'beta' | 'steps_per_generation'
  >;
  lora: LoraConfig;
  /** Rows of a prompt, visual tokens included. */
  prompt_rows: number;
  /** Held-out questions that a check answers side by side, each once greedily and once sampled. Default none. */
  held_out?: number;
}

/** What the plan starts from. */
export interface PlanStart {
  /** The GPU that the run will be on: its bytes alive now count as weights. */
  gpu: Gpu;
  model: Pick<TinyLlava, 'config' | 'language'>;
  budget?: MemoryPlan['budget'];
}

/**
 * Plans a run's memory: the engine's own code makes a held-out check and takes a step, of full length, on a GPU that
 * counts and does not allocate, so the plan is what the code asks for, with the dense blocks in our own kernels. The
 * visual tokens of the questions are counted; encoding a video is not. The traces of a
 * cold start are taken to be `max_completion_length` tokens long.
 */
export async function planMemory(planned: PlannedRun, start: PlanStart): Promise<MemoryPlan> {
  const { gpu, budget } = start;
  const draws = planned.stage !== 'cold-start';
  const trace = { num_generations: 1, beta: 0, steps_per_generation: 1 };
  const run = draws ? planned : { ...planned, grpo: { ...planned.grpo, ...trace } };
  const within = budget?.bytes ?? gpu.memory.budget;
  const told = budget ? { budget } : {};
  const plan = await fitting(run, start, within);
  if (plan) return { ...plan, ...told };
  const { grpo, lora } = run;
  const fewer = (change: Partial<PlannedRun['grpo']>) =>
    fitting({ ...run, grpo: { ...grpo, ...change } }, start, within);
  const num_generations = await largest(2, grpo.num_generations - 1, 1, (n) => fewer({ num_generations: n }));
  const max_completion_length =
    draws &&
    (await largest(32, grpo.max_completion_length - 1, 32, (n) => fewer({ max_completion_length: n })));
  const r = await largest(1, lora.r - 1, 1, (n) =>
    fitting({ ...run, lora: { ...lora, r: n } }, start, within),
  );
  const suggestions = {
    ...(num_generations ? { num_generations } : {}),
    ...(max_completion_length ? { max_completion_length } : {}),
    ...(r ? { r } : {}),
  };
  const whole = await count(run, { ...start, gpu: boundless(gpu) }, Number.POSITIVE_INFINITY);
  return {
    ...whole,
    maxBufferSize: bufferLimit(gpu),
    ...told,
    suggestions,
    ...(budget && leastBytes(whole, grpo) > surelyAbove(budget) ? { impossible: true } : {}),
  };
}

/** Bytes of what is there at the same time however few answers are written, one of them among it. */
function leastBytes({ parts }: MemoryPlan, { num_generations }: PlannedRun['grpo']): number {
  const of = (name: MemoryPlan['parts'][number]['name']) =>
    parts.find((part) => part.name === name)?.bytes ?? 0;
  return of('weights') + of('lora') + of('prefix-cache') + of('answer-caches') / num_generations;
}

/** Bytes that a budget does not reach for sure. */
function surelyAbove({ bytes, source }: NonNullable<MemoryPlan['budget']>): number {
  return source === 'probed' ? bytes + PROBE_CHUNK : bytes;
}

/** The same GPU with room for any buffer: what a run would take that does not fit. */
function boundless(gpu: Gpu): Gpu {
  const limits = { maxBufferSize: 2 ** 50, maxStorageBufferBindingSize: 2 ** 50 };
  return { ...gpu, device: { limits } as GPUDevice };
}

/** The largest buffer that can be bound whole. */
function bufferLimit({ device: { limits } }: Gpu): number {
  return Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
}

/** The plan of a run where it fits; undefined where it does not. */
async function fitting(run: PlannedRun, start: PlanStart, budget: number): Promise<MemoryPlan | undefined> {
  try {
    const plan = await count(run, start, budget);
    return plan.bytes <= budget ? plan : undefined;
  } catch (cause) {
    if (isOutOfMemory(cause)) return undefined;
    throw cause;
  }
}

/** Whether there was no room on the GPU: for a buffer, or for the caches of answers. */
export function isOutOfMemory(cause: unknown): cause is GpuMemoryError | GenerationError {
  return (
    cause instanceof GpuMemoryError || (cause instanceof GenerationError && cause.code === 'out-of-memory')
  );
}

/** The largest multiple of `unit` from `low` to `high` that fits, more being harder; undefined where none does. */
async function largest(
  low: number,
  high: number,
  unit: number,
  fits: (n: number) => Promise<unknown>,
): Promise<number | undefined> {
  let [from, to] = [Math.ceil(low / unit), Math.floor(high / unit)];
  let best: number | undefined;
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    if (await fits(middle * unit)) {
      best = middle * unit;
      from = middle + 1;
    } else to = middle - 1;
  }
  return best;
}

async function count(run: PlannedRun, start: PlanStart, budget: number): Promise<MemoryPlan> {
  const { config, language: real } = start.model;
  const gpu = countingGpu(start.gpu);
  const { memory } = gpu;
  // It is there already, as the weights are.
  gpu.uniforms.write(new Uint32Array(4));
  memory.bytes = start.gpu.memory.bytes;
  memory.budget = budget;
  let largestBuffer = 0;
  const create = gpu.device.createBuffer;
  gpu.device.createBuffer = (descriptor) => {
    largestBuffer = Math.max(largestBuffer, descriptor.size);
    return create.call(gpu.device, descriptor);
  };
  const runtime = WgslRuntime.create(gpu);
  const before = memory.bytes;
  const language = await LanguageModel.create(gpu, runtime, config, real.weights, {
    max_positions: real.max_positions,
    kv_dtype: real.kvShape.kv_dtype ?? 'f32',
    activation_dtype: real.activation_dtype,
  });
  memory.bytes = before;
  const { grpo, lora } = run;
  const adapter = LoraAdapter.create(gpu, lora, config.text_config);
  const policy = await PolicyGradient.create(gpu, language, adapter);
  await AdamW.create(gpu, adapter.tensors);
  const loraBytes = memory.bytes - before;
  memory.resetPeak();

  const steps = await language.adapt(adapter.decoder, adapter);
  const check = await countCheck(run, { gpu, language, config }, steps);
  memory.resetPeak();
  const prompts = Array.from({ length: grpo.questions_per_step }, () => question(gpu, run, config));
  const caches =
    run.stage === 'cold-start'
      ? { prefix: 0, answers: 0, more: 0, largest: 0 }
      : await countRollout(run, { gpu, language, config }, prompts, steps);
  const between = memory.bytes;
  const rollout = memory.peakBytes + caches.more;
  memory.resetPeak();
  await countPasses(run, language, policy, prompts);
  await memory.check();
  const backward = memory.peakBytes - between;
  const bytes = Math.max(check.bytes, rollout, memory.peakBytes);
  return {
    parts: [
      { name: 'weights', bytes: before },
      { name: 'lora', bytes: loraBytes },
      { name: 'prefix-cache', bytes: caches.prefix },
      { name: 'answer-caches', bytes: caches.answers },
      { name: 'backward', bytes: backward },
      { name: 'other', bytes: between - before - loraBytes },
    ],
    bytes,
    largestBuffer: Math.max(largestBuffer, caches.largest, check.largest),
    maxBufferSize: bufferLimit(gpu),
  };
}

/** A question of `prompt_rows` rows. */
function question(gpu: Gpu, { prompt_rows }: PlannedRun, config: TinyLlava['config']): LanguagePrompt {
  const { num_queries } = config.connector;
  const { hidden_size } = config.text_config;
  if (prompt_rows <= num_queries) return { prompt_ids: new Int32Array(prompt_rows) };
  const prompt_ids = new Int32Array(prompt_rows - num_queries + 1);
  prompt_ids[0] = IMAGE_TOKEN_INDEX;
  return { prompt_ids, visual: createTensor(gpu, [num_queries, hidden_size], 'f32', 'visual tokens') };
}

/** A held-out check before the first step. What its generator keeps stays, as it does in a run. */
async function countCheck(
  run: PlannedRun,
  on: { gpu: Gpu; language: LanguageModel; config: TinyLlava['config'] },
  steps: DecoderSteps,
): Promise<{ bytes: number; largest: number }> {
  const { held_out = 0, grpo } = run;
  if (held_out === 0) return { bytes: 0, largest: 0 };
  const prompts = Array.from({ length: held_out }, () => question(on.gpu, run, on.config));
  const twice = { ...run, grpo: { ...grpo, num_generations: 2 } };
  const { more, largest } = await countRollout(twice, on, prompts, steps);
  const bytes = on.gpu.memory.peakBytes + more;
  for (const { visual } of prompts) visual?.buffer.destroy();
  return { bytes, largest };
}

/** Two tokens of every answer, and their caches as they grow to full length. */
async function countRollout(
  run: PlannedRun,
  { gpu, language, config }: { gpu: Gpu; language: LanguageModel; config: TinyLlava['config'] },
  prompts: readonly LanguagePrompt[],
  steps: DecoderSteps,
): Promise<{ prefix: number; answers: number; more: number; largest: number }> {
  const { num_generations, max_completion_length } = run.grpo;
  // All that a generator needs of a model. Nothing is drawn, so no id ends an answer.
  const model = { config, language, tokenizer: { eos_token_id: -1 } } as unknown as TinyLlava;
  const generator = await BatchGenerator.create(gpu, model);
  const settings = { temperature: 1, top_k: 0, top_p: 1, seed: 0 };
  const length = Math.min(2, max_completion_length);
  const drawn = generator.generate({
    prompts: prompts.map((prompt, i) => ({ ...prompt, question: i })),
    answers: Array.from({ length: num_generations }, (_, sample) => ({ sample, settings })),
    max_new_tokens: length,
    steps,
  });
  for await (const _ of drawn);
  // What full length takes besides: the caches alone.
  const { kvShape } = language;
  const full = growCache(countingGpu(gpu), kvShape, prompts, run, max_completion_length);
  const short = growCache(countingGpu(gpu), kvShape, prompts, run, length);
  const prefix = prompts.length * run.prompt_rows * kvRowBytes(kvShape);
  return {
    prefix,
    answers: full.bytes - prefix,
    more: full.peak - short.peak,
    largest: full.bytes / (2 * config.text_config.num_hidden_layers),
  };
}

/** A tree of answers as it grows, a row a step. */
function growCache(
  gpu: Gpu,
  shape: KvShape,
  prompts: readonly LanguagePrompt[],
  { prompt_rows, grpo }: PlannedRun,
  length: number,
): { bytes: number; peak: number } {
  const maker = { createCache: (rows: number) => new KvCache(gpu, shape, rows) };
  const tree = new AnswerTree(
    maker,
    prompts.map((prompt) => ({ ...prompt, rows: prompt_rows })),
    undefined,
  );
  for (const root of tree.roots) tree.cache.tree.append(root, prompt_rows);
  const branches = tree.roots.flatMap((root) =>
    Array.from({ length: grpo.num_generations }, (_, g) => tree.branch(g, [], root)),
  );
  for (let step = 1; step < length; step++) {
    tree.makeRoom(branches, length - step);
    for (const { leaf } of branches) tree.cache.tree.append(leaf, 1);
  }
  return { bytes: gpu.memory.bytes, peak: gpu.memory.peakBytes };
}

/** The passes of one update over answers of full length. */
async function countPasses(
  { grpo, prompt_rows }: PlannedRun,
  language: LanguageModel,
  policy: PolicyGradient,
  prompts: readonly LanguagePrompt[],
): Promise<void> {
  const tokens = new Array<number>(grpo.max_completion_length).fill(0);
  const completions = Array.from({ length: grpo.num_generations }, () => ({ tokens }));
  const count = Math.ceil(prompts.length / (grpo.steps_per_generation ?? 1));
  const groups = prompts.slice(0, count).map((prompt) => ({ prompt, prompt_rows, completions }));
  const all = preparePasses(language, policy, groups);
  // Questions are alike here, so all passes but the last are.
  const passes = all.length > 2 ? [all[0]!, all.at(-1)!] : all;
  for (const { batch, prompt } of grpo.beta === 0 ? [] : passes) await policy.reference(batch, prompt);
  // Twice: from the second pass on gradients are added to those that are there.
  for (const { batch, prompt } of [...passes, ...passes.slice(0, 1)]) {
    const forward = await policy.forward(batch, prompt);
    await policy.backward(forward, new Float32Array(batch.tokens.length));
    forward.destroy();
  }
}
