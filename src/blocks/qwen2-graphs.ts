import type { GraphModel } from './graph';
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

/*
 * Weights of a graph carry their checkpoint name below the layer (`mlp.up_proj.weight`); those of the layer after it
 * begin with `next.`. H = hidden_size. q is `[rows, q_heads * head_dim]`, k and v `[rows, kv_heads * head_dim]`,
 * before the rotary embedding.
 */

/** hidden `[rows, H]`, the embeddings -> q, k, v of layer 0. */
export function qwen2First(shape: Qwen2Shape): GraphModel {
  const g = new GraphBuilder('qwen2 first');
  nextQkv(g, g.input('hidden', ['rows', shape.hidden_size]), shape);
  return g.build();
}

/** attention `[rows, q_heads * head_dim]`, residual `[rows, H]` -> hidden `[rows, H]` and q, k, v of the next layer. */
export function qwen2Block(shape: Qwen2Shape): GraphModel {
  const g = new GraphBuilder('qwen2 block');
  const hidden = layerOutput(g, shape);
  g.output('hidden', hidden);
  nextQkv(g, hidden, shape);
  return g.build();
}

/** As `qwen2Block` for the last layer: hidden `[rows, H]` before, and final_norm `[rows, H]` after the final norm. */
export function qwen2Last(shape: Qwen2Shape): GraphModel {
  const g = new GraphBuilder('qwen2 last block');
  const hidden = layerOutput(g, shape);
  g.output('hidden', hidden);
  g.output('final_norm', norm(g, hidden, 'next.norm', shape));
  return g.build();
}

/** final_norm `[rows, H]` -> logits `[rows, V]`. The tied head is the embedding itself, `[V, H]`. */
export function qwen2Head(shape: Qwen2Shape): GraphModel {
  const { hidden_size, vocab_size } = shape;
  const g = new GraphBuilder('qwen2 head');
  const x = g.input('final_norm', ['rows', hidden_size]);
  g.output('logits', g.gemm(x, g.input('head.weight', [vocab_size, hidden_size])));
  return g.build();
}

function layerOutput(g: GraphBuilder, shape: Qwen2Shape): Value {
  const { hidden_size: H, intermediate_size: M, num_attention_heads, head_dim } = shape;
  const A = num_attention_heads * head_dim;
  const attention = g.input('attention', ['rows', A]);
  const residual = g.input('residual', ['rows', H]);
  const attended = g.gemm(attention, g.input('self_attn.o_proj.weight', [H, A]), residual);
  const normed = norm(g, attended, 'post_attention_layernorm', shape);
  const gate = g.gemm(normed, g.input('mlp.gate_proj.weight', [M, H]));
  const up = g.gemm(normed, g.input('mlp.up_proj.weight', [M, H]));
  return g.gemm(g.siluMul(gate, up), g.input('mlp.down_proj.weight', [H, M]), attended);
}

function nextQkv(g: GraphBuilder, hidden: Value, shape: Qwen2Shape): void {
  const { hidden_size: H, num_attention_heads, num_key_value_heads, head_dim } = shape;
  const normed = norm(g, hidden, 'next.input_layernorm', shape);
  for (const [name, heads] of [
    ['q', num_attention_heads],
    ['k', num_key_value_heads],
    ['v', num_key_value_heads],
  ] as const) {
    const weight = g.input(`next.self_attn.${name}_proj.weight`, [heads * head_dim, H]);
    const bias = g.input(`next.self_attn.${name}_proj.bias`, [heads * head_dim]);
    g.output(name, g.gemm(normed, weight, bias));
  }
}

function norm(g: GraphBuilder, x: Value, name: string, shape: Qwen2Shape): Value {
  return g.rmsNorm(x, g.input(`${name}.weight`, [shape.hidden_size]), shape.rms_norm_eps);
}
