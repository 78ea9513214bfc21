import { rotaryTable } from '../attention/rotary';
import type { AttributeValue, GraphModel, RawConstant } from '../blocks/graph';
import { GraphBuilder, type Value } from '../blocks/graph-builder';
import { forOrt, MICROSOFT_DOMAIN, scalesName } from '../blocks/ort/packed-weights';
import { blockBytes, blocksOf, QUANTISED_BLOCK } from '../gpu/tensor';
import { LANGUAGE_PREFIX, lmHeadName } from '../model/tensor-names';
import { type DecodeSpec, decoderTensors } from './decode-scene';
import { configOf } from './training-scene';

/** Operators of ONNX Runtime's own domain. */
const MICROSOFT = ['GroupQueryAttention', 'GatherBlockQuantized', 'SkipSimplifiedLayerNormalization'];

const int = (value: number): AttributeValue => ({ kind: 'int', value });

/**
 * A whole decoder as one graph, for one new token of each sequence, as exporters for ONNX Runtime write it: embedding,
 * GroupQueryAttention with its rotary embedding, fused residual and norm, MatMulNBits with the same 4-bit weights, the
 * head.
 *
 * Inputs: `tokens` i32 `[B, 1]`, `seqlens` i32 `[B]` (rows seen less one), `total` i32 `[1]` on the
 * CPU (rows seen), and `past.i.key`, `past.i.value` f32 `[B, kv_heads, past, head_dim]`. Outputs: `logits` and
 * `present.i.key`, `present.i.value`, one row longer. Weights are initialisers.
 */
export function wholeGraph(spec: DecodeSpec, positions: number): GraphModel {
  const { text } = spec;
  const config = configOf({ text, num_queries: 64 });
  const { hidden_size: H, intermediate_size: M, head_dim, vocab_size: V } = text;
  const { num_attention_heads: q_heads, num_key_value_heads: kv_heads } = text;
  const g = new GraphBuilder('whole decoder');
  const vector = (name: string, width: number) => g.input(`${LANGUAGE_PREFIX}${name}`, [width]);
  const linear = (x: Value, name: string, out: number, width: number, bias = false) =>
    g.gemm(
      x,
      g.input(`${LANGUAGE_PREFIX}${name}.weight`, [out, width], 'q4'),
      bias ? vector(`${name}.bias`, out) : undefined,
    );
  const tokens = g.input('tokens', ['batch', 1], 'i32');
  const seqlens = g.input('seqlens', ['batch'], 'i32');
  const total = g.input('total', [1], 'i32');
  const cos = g.input('cos', [positions, head_dim / 2]);
  const sin = g.input('sin', [positions, head_dim / 2]);
  // No type of the blocks' graphs: bytes, [V, H / 2].
  const table = g.input('table', [V, H / 2], 'u8');
  let hidden = g.node('GatherBlockQuantized', [table, tokens, g.input('table.scales', [V, blocksOf(H)])], {
    bits: int(4),
    block_size: int(QUANTISED_BLOCK),
    gather_axis: int(0),
    quantize_axis: int(1),
  });
  let normed = g.rmsNorm(hidden, vector('model.layers.0.input_layernorm.weight', H), text.rms_norm_eps);
  const addNorm = (x: Value, name: string): void => {
    const [out, , , sum] = g.outputsOf('SkipSimplifiedLayerNormalization', [x, hidden, vector(name, H)], 4, {
      epsilon: { kind: 'float', value: text.rms_norm_eps },
    });
    [normed, hidden] = [out!, sum!];
  };
  for (let i = 0; i < text.num_hidden_layers; i++) {
    const layer = `model.layers.${i}.`;
    const project = (name: string, heads: number) =>
      linear(normed, `${layer}self_attn.${name}`, heads * head_dim, H, true);
    const past = (name: string) => g.input(`past.${i}.${name}`, ['batch', kv_heads, 'past', head_dim]);
    const [attended, key, value] = g.outputsOf(
      'GroupQueryAttention',
      [
        project('q_proj', q_heads),
        project('k_proj', kv_heads),
        project('v_proj', kv_heads),
        past('key'),
        past('value'),
        seqlens,
        total,
        cos,
        sin,
      ],
      3,
      { num_heads: int(q_heads), kv_num_heads: int(kv_heads), do_rotary: int(1) },
    );
    g.output(`present.${i}.key`, key!);
    g.output(`present.${i}.value`, value!);
    addNorm(
      linear(attended!, `${layer}self_attn.o_proj`, H, q_heads * head_dim),
      `${layer}post_attention_layernorm.weight`,
    );
    const gate = linear(normed, `${layer}mlp.gate_proj`, M, H);
    const up = linear(normed, `${layer}mlp.up_proj`, M, H);
    const down = linear(g.siluMul(gate, up), `${layer}mlp.down_proj`, H, M);
    const next = i + 1 < text.num_hidden_layers ? `model.layers.${i + 1}.input_layernorm` : 'model.norm';
    addNorm(down, `${next}.weight`);
  }
  g.output('logits', g.gemm(normed, g.input(lmHeadName(config), [V, H], 'q4')));
  return withInitialisers(forOrt(withDomains(g.build())), spec, positions);
}

function withDomains(graph: GraphModel): GraphModel {
  const nodes = graph.nodes.map((node) => {
    if (!MICROSOFT.includes(node.op)) return node;
    const [first, ...rest] = node.outputs;
    // Its mean and deviation are not wanted.
    const outputs = node.op.startsWith('Skip') ? [first!, '', '', rest[2]!] : node.outputs;
    return { ...node, domain: MICROSOFT_DOMAIN, outputs };
  });
  return { ...graph, nodes };
}

function withInitialisers(graph: GraphModel, spec: DecodeSpec, positions: number): GraphModel {
  const { text } = spec;
  const config = configOf({ text, num_queries: 64 });
  const wanted = new Map(graph.inputs.map((input) => [input.name, input]));
  const constants: RawConstant[] = [];
  const add = (name: string, type: RawConstant['type'], values: ArrayBufferView, dims: readonly number[]) => {
    if (!wanted.delete(name)) return;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    constants.push({ name, type, dims, bytes });
  };
  for (const { name, shape, data, scales } of decoderTensors(config)) {
    if (!scales) {
      add(name, 'f32', data, shape);
      continue;
    }
    const [n, k] = shape as [number, number];
    add(name, 'u8', data, [n, blocksOf(k), blockBytes('q4')]);
    add(scalesName(name), 'f32', scales, [n, blocksOf(k)]);
    if (name !== lmHeadName(config)) continue;
    add('table', 'u8', data, [n, k / 2]);
    add('table.scales', 'f32', scales, [n, blocksOf(k)]);
  }
  const half = text.head_dim / 2;
  const both = rotaryTable(positions, text.head_dim, text.rope_theta);
  for (const [name, from] of [
    ['cos', 0],
    ['sin', half],
  ] as const) {
    const values = new Float32Array(positions * half);
    for (let p = 0; p < positions; p++)
      values.set(both.subarray(p * text.head_dim + from, p * text.head_dim + from + half), p * half);
    add(name, 'f32', values, [positions, half]);
  }
  return { ...graph, inputs: [...wanted.values()], constants: [...graph.constants, ...constants] };
}
