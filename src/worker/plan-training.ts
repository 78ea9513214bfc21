import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import { countingGpu } from '../gpu/counting-gpu';
import type { Gpu } from '../gpu/device';
import { createTensor, sizeOf } from '../gpu/tensor';
import { planMemory } from '../grpo/memory-plan';
import type { TinyLlavaConfig } from '../model/config';
import { LanguageModel } from '../model/language-model';
import { plannedPromptRows } from '../model/model-plan';
import type { TrainingPlan } from '../model/plan-parts';
import { type ModelPrecision, passPrecision, tensorPrecision } from '../model/precision';
import { expectedTensors } from '../model/tensor-names';
import { Weights } from '../weights/load-weights';
import type { TrainingSize } from './model-protocol';

/**
 * What training a model would take, weights included: the engine's own code on a GPU that counts and has the limits of
 * `like`. The model itself is not there. Seconds of computing for a large one.
 */
export async function planTraining(
  like: Gpu,
  config: TinyLlavaConfig,
  precision: ModelPrecision,
  { grpo, lora }: TrainingSize,
): Promise<TrainingPlan> {
  const gpu = countingGpu(like);
  const expected = expectedTensors(config);
  const typeOf = tensorPrecision(expected, precision);
  const weights = new Weights(
    new Map([...expected.used].map(([name, shape]) => [name, createTensor(gpu, shape, typeOf(name), name)])),
  );
  const parameters = [...expected.used.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
  const storage = passPrecision(gpu.f16 && !gpu.off.has('halves'), parameters);
  const language = await LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, storage);
  const prompt_rows = plannedPromptRows(config);
  const run = { grpo, lora, prompt_rows };
  const { bytes, largestBuffer, suggestions } = await planMemory(run, { gpu, model: { config, language } });
  return { bytes, largestBuffer, ...(suggestions ? { suggestions } : {}) };
}
