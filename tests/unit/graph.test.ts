import { describe, expect, it } from 'vitest';
import { fuseSwiGlu } from '../../src/blocks/fuse-swiglu';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { encodeModel } from '../../src/blocks/ort/onnx-proto';
import { forOrt } from '../../src/blocks/ort/packed-weights';
import { LORA_TARGETS, qwen2Block, qwen2First, qwen2Head, qwen2Last } from '../../src/blocks/qwen2-graphs';
import { siglipBlock, siglipFirst } from '../../src/blocks/siglip-graphs';
import { fuseProducts } from '../../src/blocks/wgsl/fuse-products';
import { typeOf } from '../../src/blocks/wgsl/plan-node';

describe('GraphBuilder', () => {
  it('refuses unused inputs, inputs named twice, inputs as outputs and graphs without outputs', () => {
    const g = new GraphBuilder('g');
    const x = g.input('x', ['rows', 4]);
    expect(() => g.build()).toThrow('has no output');
    expect(() => g.output('y', x)).toThrow('cannot be an output too');
    expect(() => g.input('x', [4])).toThrow('declared twice');
    const y = g.add(x, x);
    g.output('y', y);
    expect(() => g.output('z', y)).toThrow('already the output y');
    g.input('weight', [4]);
    expect(() => g.build()).toThrow('does not use its input weight');
  });
});

const text = {
  hidden_size: 64,
  intermediate_size: 160,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  rms_norm_eps: 1e-6,
  vocab_size: 1024,
};
const vision = {
  hidden_size: 64,
  intermediate_size: 96,
  patch_size: 14,
  num_channels: 3,
  layer_norm_eps: 1e-6,
};

const names = (values: readonly { name: string }[]) => values.map((value) => value.name);

describe('graphs of the models', () => {
  it('ask only for the weights that they use', () => {
    const own = ['attention', 'residual', 'self_attn.o_proj.weight', 'post_attention_layernorm.weight'];
    const mlp = ['mlp.gate_proj.weight', 'mlp.up_proj.weight', 'mlp.down_proj.weight'];
    const next = ['next.input_layernorm.weight'];
    for (const name of ['q', 'k', 'v']) {
      next.push(`next.self_attn.${name}_proj.weight`, `next.self_attn.${name}_proj.bias`);
    }
    expect(new Set(names(qwen2First(text).inputs))).toEqual(new Set(['hidden', ...next]));
    expect(new Set(names(qwen2Block(text).inputs))).toEqual(new Set([...own, ...mlp, ...next]));
    expect(new Set(names(qwen2Last(text).inputs))).toEqual(new Set([...own, ...mlp, 'next.norm.weight']));
    expect(names(qwen2Head(text).inputs)).toEqual(['final_norm', 'head.weight']);
    expect(names(qwen2Block(text).outputs)).toEqual(['hidden', 'q', 'k', 'v']);
  });

  it('give q, k and v only where a layer follows', () => {
    expect(names(siglipFirst(vision, false).outputs)).toEqual(['hidden', 'q', 'k', 'v']);
    expect(names(siglipFirst(vision, true).outputs)).toEqual(['hidden']);
    expect(names(siglipBlock(vision, false).outputs)).toEqual(['hidden', 'q', 'k', 'v']);
    expect(names(siglipBlock(vision, true).outputs)).toEqual(['hidden']);
  });
});

describe('graphs with rows in f16', () => {
  const targets = new Set(LORA_TARGETS);
  const lora = { r: 4, scaling: 2, own: targets, next: targets };

  it('keep the residual stream, norms and the input of down_proj in f32, and all else that is stored in f16', () => {
    for (const adapter of [undefined, lora]) {
      for (const plain of [true, false]) {
        const graph = fuseProducts(fuseSwiGlu(qwen2Block(text, adapter, 'f16')), () => plain);
        const type = (name: string) => typeOf(name, graph);
        const types = (list: readonly string[]) => list.map(type);
        expect(types(['attention', 'q', 'k', 'v'])).toEqual(['f16', 'f16', 'f16', 'f16']);
        expect(types(['residual', 'hidden'])).toEqual(['f32', 'f32']);
        const node = (op: string) => graph.nodes.filter((one) => one.op === op);
        expect(node('RMSNormalization').flatMap(({ outputs }) => types(outputs))).toEqual(['f32', 'f32']);
        const [swiGlu] = node('SwiGlu');
        expect(types(swiGlu!.inputs)).toEqual(['f16', 'f16']);
        expect(types(swiGlu!.outputs)).toEqual(['f32']);
        // Nothing else: a LoRA's low rank, and a layer's product before that of its LoRA is added.
        const halves = graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => type(name) === 'f16');
        expect(new Set(halves)).toEqual(new Set(['q', 'k', 'v', ...swiGlu!.inputs]));
      }
    }
    expect(qwen2First(text, undefined, 'f16').outputs.map(({ type }) => type)).toEqual(['f16', 'f16', 'f16']);
    const last = qwen2Last(text, undefined, 'f16');
    expect(last.outputs.map(({ type }) => type)).toEqual(['f32', 'f32']);
    expect(last.halves).toHaveLength(2);
    expect(qwen2Block(text)).not.toHaveProperty('halves');
  });

  it('are computed in f32 by ONNX Runtime, with casts where rows come in and go out', () => {
    const written = qwen2Block(text, lora, 'f16');
    const graph = forOrt(written);
    const plain = qwen2Block(text, lora);
    const casts = graph.nodes.filter(({ op }) => op === 'Cast');
    const to = (node: (typeof casts)[number]) => [node.inputs[0], node.outputs[0], node.attributes.to];
    expect(casts.map(to)).toEqual([
      ['attention', 'attention_wide', { kind: 'int', value: 1 }],
      ...['q', 'k', 'v'].map((name) => [`${name}_wide`, name, { kind: 'int', value: 10 }]),
    ]);
    // Between them the graph is that of f32.
    const named = (name: string) => name.replace(/_wide$/, '');
    const between = graph.nodes
      .filter(({ op }) => op !== 'Cast')
      .map((node) => ({ ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) }));
    expect(between).toEqual(plain.nodes);
    expect(graph.inputs.find(({ name }) => name === 'attention')!.type).toBe('f16');
    expect(encodeModel(graph).length).toBeGreaterThan(encodeModel(plain).length);
    expect(forOrt(plain)).toBe(plain);
  });
});
