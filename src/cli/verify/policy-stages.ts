import type { Gpu } from '../../gpu/device';
import { type GpuTensor, readF32 } from '../../gpu/tensor';
import { AdamW } from '../../grpo/adamw';
import { DEFAULT_ADAMW } from '../../grpo/adamw-config';
import { type PolicyBatch, policyBatch } from '../../grpo/policy-batch';
import { PolicyGradient } from '../../grpo/policy-gradient';
import { policyLoss } from '../../grpo/policy-loss';
import { type LoraAdapter, loraShapes } from '../../lora/adapter';
import { peftConfig } from '../../lora/peft-config';
import { readPeft, writePeft } from '../../lora/peft-files';
import type { LanguageModel } from '../../model/language-model';
import { memorySource } from '../../weights/byte-source';
import { readJson } from '../../weights/checkpoint';
import { type FileStore, subStore } from '../../weights/file-store';
import { readSafetensors } from '../../weights/tensor-data';
import {
  completionIds,
  completionOffsets,
  type GrpoReference,
  loraNames,
  originalLoss,
  tokenValues,
} from './grpo-reference';
import type { ReferenceTensors } from './reference';
import { ErrorMeter, type StageList, type StageResult } from './report';

/** Log-probabilities may be off by so much, in nats. */
const LOGP_TOLERANCE = 2e-5;
/** A LoRA tensor's gradients and weights, by its largest value. */
const LORA_TOLERANCE = 1e-4;
/** Differences of terms of order 1, after whole passes in float32. */
const LOSS_TOLERANCE = 1e-5;

/** What the policy's stages run on. */
export interface PolicyInputs {
  gpu: Gpu;
  model: LanguageModel;
  /** Visual tokens of the clip. */
  visual: GpuTensor;
  meta: GrpoReference;
  grpo: ReferenceTensors;
}

/**
 * `adapter.*` and `grpo.*` of the model: PEFT's files in and out, log-probabilities of policy and reference, KL, the
 * gradient of every LoRA tensor, and AdamW's steps.
 */
export async function verifyPolicy(list: StageList, inputs: PolicyInputs, store: FileStore): Promise<void> {
  const { gpu, model, visual, grpo } = inputs;
  const files = subStore(store, 'adapter');
  const config = await readJson(files, 'adapter_config.json');
  const weights = await files.open('adapter_model.safetensors');
  if (!config || !weights) {
    list.note('There is no adapter/: adapter and the grpo stages of the model are skipped.');
    return;
  }
  const adapter = await readPeft(gpu, config, weights, model.config.text_config);
  const prompt = model.embedPrompt(grpo.i32('prompt_ids'), visual);
  const policy = await PolicyGradient.create(gpu, model, adapter);
  try {
    await verifyAdapter(list, adapter, config as Record<string, unknown>, inputs, files);
    await verifyPasses(list, inputs, policy, prompt);
    for (const run of inputs.meta.adamw.runs)
      await verifyAdamW(list, inputs, { adapter, policy, prompt }, run);
  } finally {
    policy.destroy();
    adapter.destroy();
    prompt.buffer.destroy();
  }
}

/** What was read is what was recorded, and is written as PEFT writes it. */
async function verifyAdapter(
  list: StageList,
  adapter: LoraAdapter,
  config: Record<string, unknown>,
  { model, grpo }: PolicyInputs,
  files: FileStore,
): Promise<void> {
  const values = await adapter.read();
  const names = loraNames(grpo);
  const shapes = loraShapes(adapter.config, model.config.text_config);
  list.count(
    'adapter.names',
    [...shapes.keys()].filter((name) => !names.includes(name)).length + Math.abs(names.length - shapes.size),
    names.length,
  );
  worst(list, 'adapter.weights', 0, names, (name) => [values.get(name) ?? [], grpo.f32(`lora.${name}`)]);
  const written = await writePeft(adapter, String(config.base_model_name_or_path));
  const own = peftConfig(adapter.config, String(config.base_model_name_or_path));
  // How the modules are named is free: a list, or a pattern.
  const fields = [...new Set([...Object.keys(own), ...Object.keys(config)])].filter(
    (name) => name !== 'target_modules' && name !== 'peft_version',
  );
  list.count(
    'adapter.config',
    fields.filter((name) => JSON.stringify(own[name]) !== JSON.stringify(config[name])).length,
    fields.length,
  );
  const theirs = await readSafetensors((await files.open('adapter_model.safetensors'))!);
  const ours = await readSafetensors(memorySource('exported', written['adapter_model.safetensors']));
  const same = (key: string) => {
    const [a, b] = [ours.get(key), theirs.get(key)!];
    return (
      a?.shape.join() === b.shape.join() &&
      a.data.length === b.data.length &&
      a.data.every((x, i) => x === b.data[i])
    );
  };
  list.count(
    'adapter.exported',
    [...theirs.keys()].filter((key) => !same(key)).length + Math.abs(ours.size - theirs.size),
    theirs.size,
  );
}

async function verifyPasses(
  list: StageList,
  { gpu, meta, grpo }: PolicyInputs,
  policy: PolicyGradient,
  prompt: GpuTensor,
): Promise<void> {
  const tokens = (name: string) => tokenValues(grpo.f32(name), meta.loss);
  const batch = batchOf(meta, grpo, prompt);
  const forward = await policy.forward(batch, prompt);
  const { logps: ref_logps } = await policy.reference(batch, prompt);
  const nats = (name: string, actual: ArrayLike<number>) => {
    const expected = tokens(name);
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    list.compare(`grpo.${name}`, actual, expected, LOGP_TOLERANCE / largest);
  };
  nats('policy_logps', forward.logps);
  nats('ref_logps', ref_logps);
  list.compare(
    'grpo.per_token_kl',
    Float64Array.from(forward.logps, (logp, i) => {
      const difference = ref_logps[i]! - logp;
      return Math.min(100, Math.exp(difference) - difference - 1);
    }),
    tokens('per_token_kl'),
  );
  policy.clearGradients();
  await policy.backward(forward, tokens('grad.policy_logps'));
  forward.destroy();
  const gradients = new Map<string, Float32Array>();
  for (const [name, tensor] of policy.gradients) gradients.set(name, await readF32(gpu, tensor));
  // A stage for each linear layer and side, of which the worst decoder layer is shown.
  const kinds = new Set([...gradients.keys()].map(kindOf));
  for (const kind of kinds)
    worst(
      list,
      `grpo.gradients.${kind}`,
      LORA_TOLERANCE,
      [...gradients.keys()].filter((name) => kindOf(name) === kind),
      (name) => [gradients.get(name)!, grpo.f32(`grad.${name}`)],
    );
  const squares = [...gradients.values()].flatMap((values) => [...values]).reduce((sum, x) => sum + x * x, 0);
  list.compare(
    'grpo.gradients.norm',
    [Math.sqrt(squares)],
    [meta.loss.global_grad_norm_lora],
    LORA_TOLERANCE,
  );
}

async function verifyAdamW(
  list: StageList,
  { gpu, meta, grpo }: PolicyInputs,
  { adapter, policy, prompt }: { adapter: LoraAdapter; policy: PolicyGradient; prompt: GpuTensor },
  run: GrpoReference['adamw']['runs'][number],
): Promise<void> {
  const start = await adapter.read();
  const { weight_decay, max_norm: max_grad_norm } = run;
  const optimiser = await AdamW.create(gpu, adapter.tensors, {
    ...DEFAULT_ADAMW,
    weight_decay,
    max_grad_norm,
  });
  const batch = batchOf(meta, grpo, prompt);
  const losses: number[] = [];
  const norms: number[] = [];
  try {
    const { logps: ref_logps } = await policy.reference(batch, prompt);
    const advantages = [...grpo.f32('advantages')];
    for (let step = 1; step <= run.losses.length; step++) {
      const forward = await policy.forward(batch, prompt);
      const { logps } = forward;
      const { loss, d_logps } = policyLoss(
        { logps, ref_logps, offsets: completionOffsets(meta.loss), advantages },
        originalLoss(meta),
      );
      policy.clearGradients();
      await policy.backward(forward, Float32Array.from(d_logps));
      forward.destroy();
      losses.push(loss);
      norms.push((await optimiser.apply(policy.gradients, meta.adamw.lr)).grad_norm);
      const recorded = (name: string) => `adamw.${run.name}.step${step}.${name}`;
      const names = [...start.keys()].filter((name) => grpo.has(recorded(name)));
      if (names.length === 0) continue;
      const values = await adapter.read();
      worst(list, `grpo.adamw.${run.name}.step${step}`, LORA_TOLERANCE, names, (name) => [
        values.get(name)!,
        grpo.f32(recorded(name)),
      ]);
    }
    list.compare(`grpo.adamw.${run.name}.losses`, losses, run.losses, LOSS_TOLERANCE, 1);
    list.compare(`grpo.adamw.${run.name}.grad_norms`, norms, run.grad_norms, LORA_TOLERANCE);
  } finally {
    optimiser.destroy();
    for (const [name, values] of start) adapter.set(name, values);
  }
}

function batchOf(meta: GrpoReference, grpo: ReferenceTensors, prompt: GpuTensor): PolicyBatch {
  return policyBatch(prompt.shape[0]!, completionIds(grpo.i32('completion_ids'), meta.loss));
}

/** `self_attn.q_proj.lora_A` of a tensor's name. */
function kindOf(name: string): string {
  return name.replace(/^.*\.layers\.\d+\./, '').replace(/\.weight$/, '');
}

/** One stage for several tensors, each compared by its own largest value: the worst. */
function worst(
  list: StageList,
  name: string,
  tolerance: number,
  tensors: readonly string[],
  values: (tensor: string) => readonly [ArrayLike<number>, ArrayLike<number>],
): void {
  let shown: StageResult | undefined;
  for (const tensor of tensors) {
    const meter = new ErrorMeter();
    meter.add(...values(tensor));
    const result = meter.result(name, tolerance);
    if (!shown || result.max_rel > shown.max_rel) shown = result;
  }
  list.add(shown ?? new ErrorMeter().result(name, tolerance));
}
