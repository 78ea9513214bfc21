import type { ElementType, GraphModel } from './graph';
import { GraphBuilder, type Value } from './graph-builder';

/** Dimensions of a Qwen2 decoder, by the names of `text_config`. */
export interface Qwen2Shape {
  hidden_size: number;
  intermediate_size: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  rms_norm_eps: number;
  vocab_size: number;
}

/** The linear layers of a decoder layer that LoRA can adapt, by their names in a checkpoint. */
export const LORA_TARGETS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

export type LoraTarget = (typeof LORA_TARGETS)[number];

/** LoRA in one graph (Hu et al., arXiv 2106.09685, section 4.1): y = W x + scaling * B A x for the adapted layers. */
export interface GraphLora {
  /** Rank, a multiple of 4. */
  r: number;
  /** lora_alpha / r, or with rsLoRA lora_alpha / sqrt(r). */
  scaling: number;
  /** Adapted in the layer that the graph finishes. */
  own: ReadonlySet<LoraTarget>;
  /** Adapted in the layer that it begins. */
  next: ReadonlySet<LoraTarget>;
}

/*
 * LoRA weights are inputs too: `mlp.up_proj.lora_A.weight` `[r, in]` and `.lora_B.weight` `[out, r]`, PEFT's names.
 *
 * Weights of a graph carry their checkpoint name below the layer (`mlp.up_proj.weight`); those of the layer after it
 * begin with `next.`. H = hidden_size. q is `[rows, q_heads * head_dim]`, k and v `[rows, kv_heads * head_dim]`,
 * before the rotary embedding.
 *
 * `rows`: how q, k, v, the attention's output, gate and up are stored. f32 always: the residual stream and what norms
 * give, and the product of gate and up, which in Qwen2.5 goes beyond what f16 holds. Sums are f32 in any case.
 */

/** hidden `[rows, H]`, the embeddings -> q, k, v of layer 0. */
export function qwen2First(shape: Qwen2Shape, lora?: GraphLora, rows: 'f32' | 'f16' = 'f32'): GraphModel {
  const g = new GraphBuilder('qwen2 first');
  nextQkv(g, g.input('hidden', ['rows', shape.hidden_size]), shape, lora, rows);
  return g.build();
}

/** attention `[rows, q_heads * head_dim]`, residual `[rows, H]` -> hidden `[rows, H]` and q, k, v of the next layer. */
export function qwen2Block(shape: Qwen2Shape, lora?: GraphLora, rows: 'f32' | 'f16' = 'f32'): GraphModel {
  const g = new GraphBuilder('qwen2 block');
  const hidden = layerOutput(g, shape, lora, rows);
  g.output('hidden', hidden);
  nextQkv(g, hidden, shape, lora, rows);
  return g.build();
}

/** As `qwen2Block` for the last layer: hidden `[rows, H]` before, and final_norm `[rows, H]` after the final norm. */
export function qwen2Last(shape: Qwen2Shape, lora?: GraphLora, rows: 'f32' | 'f16' = 'f32'): GraphModel {
  const g = new GraphBuilder('qwen2 last block');
  const hidden = layerOutput(g, shape, lora, rows);
  g.output('hidden', hidden);
  g.output('final_norm', norm(g, hidden, 'next.norm', shape));
  return g.build();
}

/** final_norm `[rows, H]` -> logits `[rows, V]`. The tied head is the embedding itself, `[V, H]`, of type `dtype`. */
export function qwen2Head(shape: Qwen2Shape, dtype: ElementType = 'f32'): GraphModel {
  const { hidden_size, vocab_size } = shape;
  const g = new GraphBuilder('qwen2 head');
  const x = g.input('final_norm', ['rows', hidden_size]);
  g.output('logits', g.gemm(x, g.input('head.weight', [vocab_size, hidden_size], dtype)));
  return g.build();
}

function layerOutput(
  g: GraphBuilder,
  shape: Qwen2Shape,
  lora: GraphLora | undefined,
  rows: 'f32' | 'f16',
): Value {
  const { hidden_size: H, intermediate_size: M, num_attention_heads, head_dim } = shape;
  const A = num_attention_heads * head_dim;
  const attention = g.input('attention', ['rows', A], rows);
  const residual = g.input('residual', ['rows', H]);
  const project = (x: Value, target: LoraTarget, out: number, width: number, c?: Value) =>
    linear(g, x, '', target, out, width, c, lora);
  const attended = project(attention, 'self_attn.o_proj', H, A, residual);
  const normed = norm(g, attended, 'post_attention_layernorm', shape);
  const gate = g.store(project(normed, 'mlp.gate_proj', M, H), rows);
  const up = g.store(project(normed, 'mlp.up_proj', M, H), rows);
  return project(g.siluMul(gate, up), 'mlp.down_proj', H, M, attended);
}

function nextQkv(
  g: GraphBuilder,
  hidden: Value,
  shape: Qwen2Shape,
  lora: GraphLora | undefined,
  rows: 'f32' | 'f16',
): void {
  const { hidden_size: H, num_attention_heads, num_key_value_heads, head_dim } = shape;
  const normed = norm(g, hidden, 'next.input_layernorm', shape);
  for (const [name, heads] of [
    ['q', num_attention_heads],
    ['k', num_key_value_heads],
    ['v', num_key_value_heads],
  ] as const) {
    const bias = g.input(`next.self_attn.${name}_proj.bias`, [heads * head_dim]);
    const out = linear(g, normed, 'next.', `self_attn.${name}_proj`, heads * head_dim, H, bias, lora);
    g.output(name, out, rows);
  }
}

/** x W^T + c, with the LoRA term where the target is adapted. */
function linear(
  g: GraphBuilder,
  x: Value,
  prefix: '' | 'next.',
  target: LoraTarget,
  out: number,
  width: number,
  c: Value | undefined,
  lora: GraphLora | undefined,
): Value {
  const base = g.gemm(x, g.input(`${prefix}${target}.weight`, [out, width]), c);
  const targets = prefix === '' ? lora?.own : lora?.next;
  if (!lora || !targets?.has(target)) return base;
  const low = g.gemm(x, g.input(`${prefix}${target}.lora_A.weight`, [lora.r, width]));
  return g.gemm(low, g.input(`${prefix}${target}.lora_B.weight`, [out, lora.r]), base, lora.scaling);
}

function norm(g: GraphBuilder, x: Value, name: string, shape: Qwen2Shape): Value {
  return g.rmsNorm(x, g.input(`${name}.weight`, [shape.hidden_size]), shape.rms_norm_eps);
}
