import { CheckpointError } from '../weights/errors';

/** SigLIP vision tower (fields named as in config.json). */
export interface VisionConfig {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_channels: number;
  image_size: number;
  patch_size: number;
  layer_norm_eps: number;
}

/** Qwen2 language model (fields named as in config.json). */
export interface TextConfig {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  vocab_size: number;
  rms_norm_eps: number;
  rope_theta: number;
  max_position_embeddings: number;
  tie_word_embeddings: boolean;
  /** End-of-text ids that config.json names; the tokenizer's EOS counts as well. */
  eos_token_id: number[];
}

/** Group resampler, or naive resampler: one group, and positions are added to the features, not to the result. */
export interface ConnectorConfig {
  connector_type: 'groupresampler' | 'naiveresampler';
  /** Visual tokens in all. */
  num_queries: number;
  /** Groups that the patch sequence is cut into; 1 in the naive resampler. */
  group: number;
  /** Latents of a group: num_queries / group. */
  num_latents: number;
  num_resampler_layers: number;
  /** Fixed in the original code. */
  heads: 8;
  dim_head: 64;
  ff_mult: 4;
  layer_norm_eps: 1e-5;
}

/** Everything about a TinyLLaVA-Video model that its code reads. */
export interface TinyLlavaConfig {
  text_config: TextConfig;
  vision_config: VisionConfig;
  connector: ConnectorConfig;
  /** Frames sampled from a video by default: config.json's `group`, 16 (the original's default) where it has none. */
  num_frames: number;
  /** Encoder layers to run: the selected feature is the output of the last of them. */
  vision_layers_used: number;
  /** Whether the first patch of every frame is dropped ('patch' of vision_feature_select_strategy). */
  drop_first_patch: boolean;
  /** Stands for the video in a prompt's ids. */
  image_token_index: number;
  /** Longest merged sequence, visual tokens included. */
  tokenizer_model_max_length: number;
}

type Json = Record<string, unknown>;

const CONNECTOR_TYPES = ['groupresampler', 'naiveresampler'] as const;
// tinyllava/utils/arguments.py, num_frames.
const DEFAULT_FRAMES = 16;

/** Reads typed fields of one section and names the field in every error. */
class Section {
  constructor(
    private readonly json: Json,
    private readonly path: string,
  ) {}

  fail(field: string, what: string): never {
    throw new CheckpointError(`config.json: ${this.path}${field} ${what}.`);
  }

  value(field: string): unknown {
    return this.json[field] ?? undefined;
  }

  int(field: string, fallback?: number): number {
    const value = this.value(field) ?? fallback;
    if (value === undefined) this.fail(field, 'is missing');
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
      this.fail(field, `is ${JSON.stringify(value)}, and should be a positive whole number`);
    }
    return value;
  }

  positive(field: string, fallback: number): number {
    const value = this.value(field) ?? fallback;
    if (typeof value !== 'number' || !(value > 0)) {
      this.fail(field, `is ${JSON.stringify(value)}, and should be a positive number`);
    }
    return value;
  }

  section(field: string): Section {
    const value = this.value(field);
    if (value === undefined) this.fail(field, 'is missing');
    if (typeof value !== 'object' || Array.isArray(value)) this.fail(field, 'is not an object');
    return new Section(value as Json, `${this.path}${field}.`);
  }

  oneOf<T extends string>(field: string, allowed: readonly T[], fallback?: T): T {
    const value = this.value(field) ?? fallback;
    if (!allowed.includes(value as T)) {
      const found = value === undefined ? 'missing' : JSON.stringify(value);
      this.fail(field, `is ${found}, and only ${allowed.join(', ')} can be run`);
    }
    return value as T;
  }
}

/**
 * Checks a parsed config.json. Fields that the library leaves out when they have their default get that default.
 * @throws CheckpointError naming the field.
 */
export function parseConfig(json: unknown): TinyLlavaConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CheckpointError('config.json is not an object.');
  }
  const root = new Section(json as Json, '');
  root.oneOf('model_type', ['tinyllava']);
  const text_config = parseText(root.section('text_config'), root);
  const vision_config = parseVision(root.section('vision_config'));
  const connector = parseConnector(root);
  agree(root, 'hidden_size', text_config.hidden_size, 'text_config.hidden_size');
  agree(root, 'vision_hidden_size', vision_config.hidden_size, 'vision_config.hidden_size');
  const strategy = root.oneOf('vision_feature_select_strategy', ['patch', 'cls_patch'], 'patch');
  return {
    text_config,
    vision_config,
    connector,
    num_frames: root.int('group', DEFAULT_FRAMES),
    vision_layers_used: layersUsed(root, vision_config.num_hidden_layers),
    drop_first_patch: strategy === 'patch',
    image_token_index: imageToken(root),
    tokenizer_model_max_length: root.int('tokenizer_model_max_length', 3072),
  };
}

/** Patches a frame has: `floor(image_size / patch_size)` squared; the pixels left over are never read. */
export function patchesPerFrame(vision: VisionConfig): number {
  return Math.floor(vision.image_size / vision.patch_size) ** 2;
}

/** Features that a frame gives to the connector: its patches, without the first where that is dropped. */
export function rowsPerFrame(config: TinyLlavaConfig): number {
  return patchesPerFrame(config.vision_config) - (config.drop_first_patch ? 1 : 0);
}

function parseConnector(root: Section): ConnectorConfig {
  const connector_type = root.oneOf('connector_type', CONNECTOR_TYPES);
  const num_queries = root.int('num_queries');
  const group = connector_type === 'groupresampler' ? root.int('group') : 1;
  if (num_queries % group)
    root.fail('group', `is ${group}, which does not divide num_queries = ${num_queries}`);
  return {
    connector_type,
    num_queries,
    group,
    num_latents: num_queries / group,
    num_resampler_layers: root.int('num_resampler_layers'),
    heads: 8,
    dim_head: 64,
    ff_mult: 4,
    layer_norm_eps: 1e-5,
  };
}

function agree(root: Section, field: string, value: number, other: string): void {
  const given = root.value(field);
  if (given !== undefined && given !== value) root.fail(field, `is ${given}, but ${other} is ${value}`);
}

function imageToken(root: Section): number {
  const value = root.value('image_token_index') ?? -200;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value >= 0) {
    root.fail('image_token_index', `is ${JSON.stringify(value)}, and should be a negative whole number`);
  }
  return value;
}

/** `vision_feature_layer` indexes hidden states: 0 is the embedding, i the output of layer i - 1. */
function layersUsed(root: Section, layers: number): number {
  const value = root.value('vision_feature_layer') ?? -2;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value > layers || value < -layers - 1) {
    root.fail('vision_feature_layer', `is ${JSON.stringify(value)}, and the tower has ${layers} layers`);
  }
  return value < 0 ? layers + 1 + value : value;
}

function parseVision(section: Section): VisionConfig {
  section.oneOf('model_type', ['siglip_vision_model'], 'siglip_vision_model');
  section.oneOf('hidden_act', ['gelu_pytorch_tanh'], 'gelu_pytorch_tanh');
  const config: VisionConfig = {
    hidden_size: section.int('hidden_size'),
    intermediate_size: section.int('intermediate_size'),
    num_hidden_layers: section.int('num_hidden_layers'),
    num_attention_heads: section.int('num_attention_heads'),
    num_channels: section.int('num_channels', 3),
    image_size: section.int('image_size'),
    patch_size: section.int('patch_size'),
    layer_norm_eps: section.positive('layer_norm_eps', 1e-6),
  };
  if (config.num_channels !== 3) section.fail('num_channels', 'is not 3, and video frames are RGB');
  if (config.hidden_size % config.num_attention_heads)
    section.fail('hidden_size', 'is not a multiple of num_attention_heads');
  if (config.patch_size > config.image_size) section.fail('patch_size', 'is larger than image_size');
  return config;
}

function parseText(section: Section, root: Section): TextConfig {
  section.oneOf('model_type', ['qwen2'], 'qwen2');
  section.oneOf('hidden_act', ['silu'], 'silu');
  const scaling = section.value('rope_scaling') as Json | undefined;
  const scalingType = scaling && (scaling.rope_type ?? scaling.type);
  if (scaling && scalingType !== 'default')
    section.fail('rope_scaling', 'is set, and scaled rotary positions cannot be run');
  if (section.value('use_sliding_window') === true)
    section.fail('use_sliding_window', 'is true, and windowed attention cannot be run');
  const hidden_size = section.int('hidden_size');
  const num_attention_heads = section.int('num_attention_heads');
  const num_key_value_heads = section.int('num_key_value_heads');
  if (num_attention_heads % num_key_value_heads)
    section.fail('num_attention_heads', 'is not a multiple of num_key_value_heads');
  if (section.value('head_dim') === undefined && hidden_size % num_attention_heads)
    section.fail('hidden_size', 'is not a multiple of num_attention_heads');
  const tie = section.value('tie_word_embeddings') ?? root.value('tie_word_embeddings') ?? false;
  return {
    hidden_size,
    intermediate_size: section.int('intermediate_size'),
    num_hidden_layers: section.int('num_hidden_layers'),
    num_attention_heads,
    num_key_value_heads,
    head_dim: section.int('head_dim', hidden_size / num_attention_heads),
    // Transformers leaves a section's value out where it is the class's default; the root always has it.
    vocab_size: (section.value('vocab_size') === undefined ? root : section).int('vocab_size'),
    rms_norm_eps: section.positive('rms_norm_eps', 1e-6),
    rope_theta: section.positive('rope_theta', 10_000),
    max_position_embeddings: section.int('max_position_embeddings', 32_768),
    tie_word_embeddings: tie === true,
    eos_token_id: ids(section.value('eos_token_id')),
  };
}

function ids(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id));
}
