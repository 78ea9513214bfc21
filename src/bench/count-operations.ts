import type { QueryRun } from '../attention/segment-tree';
import type { PolicyBatch } from '../grpo/policy-batch';
import type { AdaptedShape } from '../lora/adapter';

/** Multiply-adds of a policy's passes, of linear layers, head and attention; what is done element by element is left out. */
export interface CountedPasses {
  forward: number;
  /** The layers computed again from their inputs included. */
  backward: number;
}

/** Score, and what it takes of the values. */
const ATTENTION_FORWARD = 2;
/** dQ in one kernel and dK, dV in another, without atomics: each computes scores and dP for itself. */
const ATTENTION_BACKWARD = 7;

/** A linear layer of a decoder layer, with the rows that it is needed for. */
interface CountedLinear {
  width: number;
  out: number;
  rows: number;
  /** Whether its input's gradient is needed. */
  input_gradient: boolean;
  /** Whether something in the backward pass needs its output. */
  again: boolean;
}

/**
 * What a forward and a backward pass of a policy with LoRA of rank `r` on all linear layers have to compute where only the
 * layers' inputs are kept. Of the rows that predict nothing the last layer gives keys and values alone; nothing below the
 * first layer's q, k and v is trained, so their input's gradient is not needed; no one needs `down_proj`'s output again,
 * as it is the next layer's input.
 */
export function countPasses(shape: AdaptedShape, r: number, batch: PolicyBatch): CountedPasses {
  const { hidden_size: H, vocab_size: V, num_hidden_layers: n } = shape;
  const Q = shape.num_attention_heads * shape.head_dim;
  const head = batch.tokens.length * H * V;
  let forward = head;
  // Logits are computed again, and their gradient goes through the head.
  let backward = 2 * head;
  for (let layer = 0; layer < n; layer++) {
    const scores = Q * visiblePairs(batch, layer === n - 1 ? batch.scored_runs : batch.runs);
    forward += ATTENTION_FORWARD * scores;
    backward += (ATTENTION_FORWARD + ATTENTION_BACKWARD) * scores;
    for (const { width, out, rows, input_gradient, again } of linearLayers(shape, batch, layer)) {
      const base = rows * width * out;
      const [a, b] = [rows * r * width, rows * r * out];
      forward += base + a + b;
      // x A^T is needed for dB in any case.
      backward += again ? base + a + b : a;
      // dy B, dB and dA; then dx through W and through A.
      backward += 2 * b + a;
      if (input_gradient) backward += base + a;
    }
  }
  return { forward, backward };
}

function linearLayers(shape: AdaptedShape, batch: PolicyBatch, layer: number): CountedLinear[] {
  const { hidden_size: H, intermediate_size: M, num_attention_heads, num_key_value_heads, head_dim } = shape;
  const Q = num_attention_heads * head_dim;
  const KV = num_key_value_heads * head_dim;
  const last = layer === shape.num_hidden_layers - 1;
  const rows = last ? batch.scored_rows : batch.rows;
  const input = { again: true, input_gradient: layer > 0, width: H };
  const inner = { again: true, input_gradient: true, rows };
  return [
    { ...input, out: Q, rows },
    { ...input, out: KV, rows: batch.rows },
    { ...input, out: KV, rows: batch.rows },
    { ...inner, width: Q, out: H },
    { ...inner, width: H, out: M },
    { ...inner, width: H, out: M },
    { ...inner, width: M, out: H, again: false },
  ];
}

/** Pairs of a query row and a key that it sees. */
export function visiblePairs({ tree }: Pick<PolicyBatch, 'tree'>, runs: readonly QueryRun[]): number {
  let pairs = 0;
  for (const { segment, offset, count } of runs)
    for (let i = 0; i < count; i++) pairs += tree.visible(segment, offset + i);
  return pairs;
}
