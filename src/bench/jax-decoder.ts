import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { rotaryTable } from '../attention/rotary';
import type { LoraTarget } from '../blocks/qwen2-graphs';
import { loraShapes } from '../lora/adapter';
import { loraScaling } from '../lora/lora-config';
import { layerPrefix } from '../model/decoder-steps';
import { LANGUAGE_PREFIX } from '../model/tensor-names';
import { BENCH_LORA, type TrainingSpec } from './training-scene';

/** Values of a decoder's step, by name. */
export interface JaxStepInput {
  /** Base weights by checkpoint name. */
  weights: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array<ArrayBuffer> }>;
  lora: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array<ArrayBuffer> }>;
  /** Embeddings of the prompt's rows and the answer's but for its last token, `[rows, H]`. */
  embeddings: Float32Array<ArrayBuffer>;
  /** Ids of the answer's tokens, `[tokens]`, and d loss / d log-probability of each. */
  targets: readonly number[];
  d_logps: Float32Array<ArrayBuffer>;
}

type Arrays = Record<string, np.Array>;
type Given = { weights: Arrays; x: np.Array; cos: np.Array; sin: np.Array; scores: np.Array };

/** A LoRA step in jax-js on its WebGPU backend, which has a device of its own. */
export interface JaxStep {
  /** One forward and backward pass, to its end. */
  run(): Promise<void>;
  /** The loss and its gradients by name, of one more. */
  read(): Promise<{ loss: number; gradients: Map<string, Float32Array> }>;
  destroy(): void;
}

/**
 * A Qwen2 decoder with LoRA over one sequence, dense and causal, in jax-js: the same values as ours, and like ours the
 * last layer and the head only where something is predicted. The loss is the sum of d_logps * log-probability.
 * @throws Error where jax-js has no WebGPU here.
 */
export async function createJaxStep(spec: TrainingSpec, input: JaxStepInput): Promise<JaxStep> {
  const devices = await init('webgpu');
  if (!devices.includes('webgpu')) throw new Error('jax-js finds no WebGPU here.');
  defaultDevice('webgpu');
  const { text, prompt_rows, tokens } = spec;
  const { hidden_size: H, head_dim: D, vocab_size: V } = text;
  const rows = prompt_rows + tokens - 1;
  const half = D / 2;
  const table = rotaryTable(rows, D, text.rope_theta);
  const part = (from: number) =>
    Float32Array.from(
      { length: rows * half },
      (_, i) => table[Math.floor(i / half) * D + from + (i % half)]!,
    );
  const scores = new Float32Array(tokens * V);
  for (const [i, id] of input.targets.entries()) scores[i * V + id] = input.d_logps[i]!;
  const array = (values: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
    np.array(values).reshape([...shape]);
  const arrays = (values: JaxStepInput['weights']): Arrays =>
    Object.fromEntries([...values].map(([name, one]) => [name, array(one.values, one.shape)]));
  const lora = arrays(input.lora);
  const given: Given = {
    weights: arrays(input.weights),
    x: array(input.embeddings, [rows, H]),
    cos: array(part(0), [rows, 1, half]),
    sin: array(part(half), [rows, 1, half]),
    scores: array(scores, [tokens, V]),
  };
  const step = jit(valueAndGrad((own: Arrays, rest: Given) => decoderLoss(spec, own, rest)));
  const once = () => step(tree.ref(lora), tree.ref(given)) as [np.Array, Arrays];
  return {
    async run() {
      const out = once();
      await blockUntilReady(out);
      tree.dispose(out);
    },
    async read() {
      const [loss, own] = once();
      const gradients = new Map<string, Float32Array>();
      for (const [name, value] of Object.entries(own))
        gradients.set(name, (await value.data()) as Float32Array);
      return { loss: (await loss.data())[0]!, gradients };
    },
    destroy() {
      tree.dispose(lora);
      tree.dispose(given);
      step.dispose();
    },
  };
}

/** Owns its arguments, as functions in jax-js do. */
function decoderLoss({ text, prompt_rows }: TrainingSpec, lora: Arrays, given: Given): np.Array {
  const { weights, cos, sin, scores } = given;
  const { num_attention_heads: heads, num_key_value_heads: kv_heads, head_dim: D, rms_norm_eps } = text;
  const scaling = loraScaling(BENCH_LORA);
  const adapted = loraShapes(BENCH_LORA, text);
  const norm = (x: np.Array, name: string) => {
    const mean = np.mean(np.square(x.ref), -1, { keepdims: true });
    return x.mul(np.reciprocal(np.sqrt(mean.add(rms_norm_eps)))).mul(weights[`${name}.weight`]!.ref);
  };
  const linear = (x: np.Array, prefix: string, target: LoraTarget, bias = false) => {
    const name = `${prefix}${target}`;
    if (!adapted.has(`${name}.lora_A.weight`)) throw new Error(`${name} is not adapted.`);
    const low = np.inner(x.ref, lora[`${name}.lora_A.weight`]!.ref);
    const more = np.inner(low, lora[`${name}.lora_B.weight`]!.ref).mul(scaling);
    const base = np.inner(x, weights[`${name}.weight`]!.ref).add(more);
    return bias ? base.add(weights[`${name}.bias`]!.ref) : base;
  };
  const rotated = (x: np.Array) => {
    const low = x.ref.slice([], [], [0, D / 2]);
    const high = x.slice([], [], [D / 2, D]);
    return np.concatenate(
      [low.ref.mul(cos.ref).sub(high.ref.mul(sin.ref)), high.mul(cos.ref).add(low.mul(sin.ref))],
      -1,
    );
  };
  let x = given.x;
  for (let layer = 0; layer < text.num_hidden_layers; layer++) {
    const own = layerPrefix(layer);
    const normed = norm(x.ref, `${own}input_layernorm`);
    const split = (y: np.Array, count: number) => y.reshape([-1, count, D]);
    const q = rotated(split(linear(normed.ref, own, 'self_attn.q_proj', true), heads));
    const k = rotated(split(linear(normed.ref, own, 'self_attn.k_proj', true), kv_heads));
    const v = split(linear(normed, own, 'self_attn.v_proj', true), kv_heads);
    let attended = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([-1, heads * D]);
    if (layer === text.num_hidden_layers - 1) {
      attended = attended.slice([prompt_rows - 1], []);
      x = x.slice([prompt_rows - 1], []);
    }
    x = x.add(linear(attended, own, 'self_attn.o_proj'));
    const second = norm(x.ref, `${own}post_attention_layernorm`);
    const gate = nn.silu(linear(second.ref, own, 'mlp.gate_proj'));
    x = x.add(linear(gate.mul(linear(second, own, 'mlp.up_proj')), own, 'mlp.down_proj'));
  }
  const final_norm = norm(x, `${LANGUAGE_PREFIX}model.norm`);
  const logits = np.inner(final_norm, weights[`${LANGUAGE_PREFIX}model.embed_tokens.weight`]!.ref);
  const loss = nn.logSoftmax(logits).mul(scores).sum();
  tree.dispose(lora);
  tree.dispose(weights);
  cos.dispose();
  sin.dispose();
  return loss;
}
