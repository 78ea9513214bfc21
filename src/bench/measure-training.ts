import type { Gpu } from '../gpu/device';
import { readF32, uploadTensor } from '../gpu/tensor';
import { TINYLLAVA_VIDEO_R1 } from '../grpo/grpo-config';
import { planMemory } from '../grpo/memory-plan';
import type { PolicyBatch } from '../grpo/policy-batch';
import { PolicyGradient } from '../grpo/policy-gradient';
import { GrpoTrainer } from '../grpo/trainer';
import { LoraAdapter } from '../lora/adapter';
import type { TinyLlava } from '../model/tiny-llava';
import { countPasses } from './count-operations';
import { median } from './stopwatch';
import {
  BENCH_LORA,
  logpGradients,
  promptValues,
  repeatedBatch,
  sharedBatch,
  type TrainingScene,
} from './training-scene';

/** Rounds in which all that is compared takes its turn, after one that compiles. */
export const ROUNDS = 9;

/** Of values that should be equal, by the largest of them. */
const TOLERANCE = 1e-3;

/** The largest difference by the largest value. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return a.length === b.length ? worst / Math.max(largest, Number.MIN_VALUE) : Number.POSITIVE_INFINITY;
}

/** @throws Error where two ways to the same values differ. */
export function checkEqual(
  own: ReadonlyMap<string, ArrayLike<number>>,
  other: ReadonlyMap<string, ArrayLike<number>>,
  what: string,
): void {
  for (const [name, values] of own) {
    const found = difference(values, other.get(name) ?? []);
    // Not the other way round: NaN has to fail.
    if (!(found <= TOLERANCE)) throw new Error(`${what}: ${name} differs by ${found} of its largest value.`);
  }
}

/** Reads the gradients of a policy, by name. */
export async function readGradients(
  gpu: Gpu,
  policy: PolicyGradient,
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, tensor] of policy.gradients) values.set(name, await readF32(gpu, tensor));
  return values;
}

/** Wall-clock milliseconds of something, to the end of its work on the GPU. */
export async function timeOf<T>(gpu: Gpu, job: () => Promise<T>): Promise<{ ms: number; result: T }> {
  await gpu.device.queue.onSubmittedWorkDone();
  const start = performance.now();
  const result = await job();
  await gpu.device.queue.onSubmittedWorkDone();
  return { ms: performance.now() - start, result };
}

/** Milliseconds of a pass forward and of its way back. */
interface PassTimes {
  forward: number;
  backward: number;
}

/** Ratios of times, and those of multiply-adds. */
export interface PassRatios {
  shared_over_repeated: number;
  shared_over_repeated_counted: number;
  backward_over_forward: number;
  backward_over_forward_counted: number;
  /** Milliseconds, medians. */
  shared: PassTimes;
  repeated: PassTimes;
}

/**
 * Times the policy's passes with the prompt shared and with the prompt repeated, in turns, layers computed again
 * backwards in both.
 * @throws Error where the two give other scores or gradients.
 */
export async function measurePasses(gpu: Gpu, scene: TrainingScene): Promise<PassRatios> {
  const { spec, language, adapter } = scene;
  const { prompt_rows, answers, text } = spec;
  const policy = await PolicyGradient.create(gpu, language, adapter, { keep_bytes: 0 });
  const one = promptValues(spec);
  const many = new Float32Array(answers * one.length);
  for (let g = 0; g < answers; g++) many.set(one, g * one.length);
  const H = text.hidden_size;
  const layouts = {
    shared: { batch: sharedBatch(spec), prompt: uploadTensor(gpu, one, [prompt_rows, H], 'f32', 'prompt') },
    repeated: {
      batch: repeatedBatch(spec),
      prompt: uploadTensor(gpu, many, [answers * prompt_rows, H], 'f32', 'prompts'),
    },
  };
  const d_logps = logpGradients(spec);
  const pass = async ({ batch, prompt }: { batch: PolicyBatch; prompt: typeof layouts.shared.prompt }) => {
    policy.clearGradients();
    const forward = await timeOf(gpu, () => policy.forward(batch, prompt));
    const backward = await timeOf(gpu, () => policy.backward(forward.result, d_logps));
    forward.result.destroy();
    return { forward: forward.ms, backward: backward.ms, logps: forward.result.logps };
  };
  try {
    const values = [];
    for (const layout of [layouts.shared, layouts.repeated]) {
      const { logps } = await pass(layout);
      values.push(
        new Map<string, ArrayLike<number>>([['logps', logps], ...(await readGradients(gpu, policy))]),
      );
    }
    checkEqual(values[0]!, values[1]!, 'Shared and repeated prompts');
    const rounds: { shared: PassTimes; repeated: PassTimes }[] = [];
    for (let i = 0; i < ROUNDS; i++)
      rounds.push({ shared: await pass(layouts.shared), repeated: await pass(layouts.repeated) });
    const total = ({ forward, backward }: PassTimes) => forward + backward;
    const counted = {
      shared: countPasses(text, BENCH_LORA.r, layouts.shared.batch),
      repeated: countPasses(text, BENCH_LORA.r, layouts.repeated.batch),
    };
    const times = (layout: 'shared' | 'repeated') => ({
      forward: median(rounds.map((round) => round[layout].forward)),
      backward: median(rounds.map((round) => round[layout].backward)),
    });
    return {
      shared_over_repeated: median(rounds.map((round) => total(round.repeated) / total(round.shared))),
      shared_over_repeated_counted: total(counted.repeated) / total(counted.shared),
      backward_over_forward: median(rounds.map(({ shared }) => shared.backward / shared.forward)),
      backward_over_forward_counted: counted.shared.backward / counted.shared.forward,
      shared: times('shared'),
      repeated: times('repeated'),
    };
  } finally {
    policy.destroy();
    for (const { prompt } of Object.values(layouts)) prompt.buffer.destroy();
  }
}

/** Bytes of a GRPO step: planned before it, and the most that was counted while it ran. */
export async function measureMemory(
  gpu: Gpu,
  { spec, config, language }: TrainingScene,
): Promise<{ planned_bytes: number; peak_bytes: number }> {
  const { prompt_rows, answers, tokens, num_queries, text } = spec;
  const grpo = {
    ...TINYLLAVA_VIDEO_R1,
    num_generations: answers,
    questions_per_step: 1,
    max_completion_length: tokens,
    seed: 1,
  };
  // All that a trainer needs of a model. No id ends an answer: all get their full length.
  const tokenizer = { eos_token_id: -1, decode: () => '' };
  const model = { config, language, tokenizer } as unknown as TinyLlava;
  const plan = await planMemory({ grpo, lora: BENCH_LORA, prompt_rows }, { gpu, model });
  gpu.memory.resetPeak();
  const adapter = LoraAdapter.create(gpu, BENCH_LORA, text);
  adapter.initialise(1);
  const trainer = await GrpoTrainer.create(gpu, model, adapter, grpo, (texts) => texts.map((_, i) => i));
  const values = new Float32Array(num_queries * text.hidden_size).fill(0.01);
  const visual = uploadTensor(gpu, values, [num_queries, text.hidden_size], 'f32', 'visual tokens');
  const prompt_ids = new Int32Array(prompt_rows - num_queries + 1).fill(1);
  prompt_ids[0] = config.image_token_index;
  try {
    await trainer.train([{ prompt_ids, visual }]);
    return { planned_bytes: plan.bytes, peak_bytes: gpu.memory.peakBytes };
  } finally {
    visual.buffer.destroy();
    trainer.destroy();
    adapter.destroy();
  }
}
