import { LORA_TARGETS, type LoraTarget } from '../blocks/qwen2-graphs';
import type { LoraConfig } from './lora-config';

/** What PEFT puts before a module's path in the names of saved tensors. */
export const PEFT_PREFIX = 'base_model.model.';

/** Fields of PEFT's LoraConfig that say nothing here but are saved with every adapter (PEFT 0.21). */
const UNUSED = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_bias: false,
  lora_dropout: 0,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.0',
  qalora_group_size: 16,
  rank_pattern: {},
  revision: null,
  target_parameters: null,
  task_type: 'CAUSAL_LM',
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  velora_config: null,
} as const;

/** adapter_config.json of a LoRA, in the order of its fields' names. */
export function peftConfig(config: LoraConfig, base_model: string): Record<string, unknown> {
  const { r, lora_alpha, use_rslora } = config;
  const fields: Record<string, unknown> = {
    ...UNUSED,
    base_model_name_or_path: base_model,
    r,
    lora_alpha,
    use_rslora,
    target_modules: targetPattern(config),
  };
  return Object.fromEntries(
    Object.keys(fields)
      .sort()
      .map((name) => [name, fields[name]]),
  );
}

/**
 * The modules as a regular expression over full paths: the vision tower has layers named `q_proj` too, which a list of
 * names would adapt as well.
 */
function targetPattern({ target_modules, layers_to_transform }: LoraConfig): string {
  const parts = (['self_attn', 'mlp'] as const).flatMap((part) => {
    const names = LORA_TARGETS.filter((target) => target.startsWith(part) && target_modules.includes(target));
    return names.length ? [`${part}\\.(${names.map((name) => name.slice(part.length + 1)).join('|')})`] : [];
  });
  const layers = layers_to_transform ? `(${layers_to_transform.join('|')})` : '\\d+';
  const modules = parts.length > 1 ? `(${parts.join('|')})` : parts[0];
  return `language_model\\.model\\.layers\\.${layers}\\.${modules}`;
}

/**
 * A module of the decoder by its path in a checkpoint, or in the decoder alone (an adapter that was trained without the
 * vision tower); undefined for any other.
 */
export function decoderModule(path: string): { layer: number; target: LoraTarget } | undefined {
  const match = /^(?:language_model\.)?model\.layers\.(\d+)\.(.+)$/.exec(path);
  const target = LORA_TARGETS.find((name) => name === match?.[2]);
  return match && target ? { layer: Number(match[1]), target } : undefined;
}

/** Other arithmetic than B A x, and other weights than A and B. */
const OTHER_ARITHMETIC = [
  'use_dora',
  'use_qalora',
  'use_bdlora',
  'fan_in_fan_out',
  'lora_bias',
  'alora_invocation_tokens',
  'arrow_config',
  'kasa_config',
  'monteclora_config',
];
const OTHER_WEIGHTS = [
  'rank_pattern',
  'alpha_pattern',
  'layer_replication',
  'modules_to_save',
  'target_parameters',
  'trainable_token_indices',
];

/** Ways to begin a LoRA that leave the base as it is; the others take a part of its weights away. */
const BESIDE_THE_BASE: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  'gaussian',
  'orthogonal',
  'eva',
  'mica',
];

/** What of an adapter_config.json decides the arithmetic. */
export interface PeftScaling {
  r: number;
  lora_alpha: number;
  use_rslora: boolean;
}

/**
 * Reads adapter_config.json.
 * @throws Error with a sentence for the user where it is no LoRA, or one that is not understood here.
 */
export function parsePeftConfig(json: unknown): PeftScaling {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new Error('adapter_config.json is not an object, so it is no adapter of PEFT.');
  const raw = json as Record<string, unknown>;
  if (raw.peft_type !== 'LORA')
    throw new Error(`adapter_config.json is of the type ${String(raw.peft_type)}; only LORA is understood.`);
  const { r, lora_alpha } = raw;
  if (typeof r !== 'number' || !Number.isInteger(r) || r < 1)
    throw new Error('adapter_config.json has no rank r.');
  if (typeof lora_alpha !== 'number' || !(lora_alpha > 0))
    throw new Error('adapter_config.json has no lora_alpha above 0.');
  for (const field of OTHER_ARITHMETIC)
    if (raw[field]) throw new Error(`adapter_config.json asks for ${field}, which is not understood here.`);
  for (const field of OTHER_WEIGHTS)
    if (raw[field] && Object.keys(raw[field]).length > 0)
      throw new Error(`adapter_config.json has a ${field}, which is not understood here.`);
  const start = raw.init_lora_weights;
  if (!BESIDE_THE_BASE.includes(start))
    throw new Error(
      `The adapter was started with ${String(start)}, which changes the base's weights. Save it again with save_pretrained(…, path_initial_model_for_weight_conversion=…).`,
    );
  if (raw.bias !== undefined && raw.bias !== 'none')
    throw new Error('adapter_config.json has trained biases, which are not understood here.');
  return { r, lora_alpha, use_rslora: raw.use_rslora === true };
}
