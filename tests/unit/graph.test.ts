import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { qwen2Block, qwen2First, qwen2Head, qwen2Last } from '../../src/blocks/qwen2-graphs';
import { siglipBlock, siglipFirst } from '../../src/blocks/siglip-graphs';

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
