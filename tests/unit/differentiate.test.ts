import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/blocks/differentiate';
import type { GraphModel } from '../../src/blocks/graph';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { LORA_TARGETS, qwen2Block, qwen2First, qwen2Last } from '../../src/blocks/qwen2-graphs';
import { siglipBlock } from '../../src/blocks/siglip-graphs';
import { normals, seeded } from '../support/attention-cases';
import { blockReference, type Dense } from '../support/block-reference';

const shape = {
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  rms_norm_eps: 1e-6,
  vocab_size: 16,
};

/** Random inputs of a graph at 3 rows. */
function inputsOf(graph: GraphModel, seed: number): Record<string, Dense> {
  const random = seeded(seed);
  return Object.fromEntries(
    graph.inputs.map(({ name, dims }) => {
      const size = dims!.map((dim) => (typeof dim === 'number' ? dim : 3));
      const count = size.reduce((a, b) => a * b, 1);
      return [name, { data: Float64Array.from(normals(random, count, 0.7)), shape: size }];
    }),
  );
}

/** Holds d_<input> of a backward graph to central differences of the sum of outputs times random cotangents. */
function check(forward: GraphModel, wrt: readonly string[], kept: readonly string[] = []): GraphModel {
  const graph = differentiate(forward, wrt, { kept });
  const inputs = inputsOf(forward, 5);
  const random = seeded(6);
  const outputs = blockReference(forward, inputs);
  const cotangents = Object.fromEntries(
    Object.entries(outputs).map(([name, { data, shape }]) => [
      `d_${name}`,
      { data: Float64Array.from(normals(random, data.length)), shape },
    ]),
  );
  const loss = () => {
    let sum = 0;
    for (const [name, { data }] of Object.entries(blockReference(forward, inputs)))
      for (let i = 0; i < data.length; i++) sum += data[i]! * cotangents[`d_${name}`]!.data[i]!;
    return sum;
  };
  const gradients = blockReference(graph, { ...inputs, ...cotangents, ...outputs });
  for (const name of wrt) {
    const values = inputs[name]!.data as Float64Array;
    const gradient = gradients[`d_${name}`]!;
    expect(gradient.data.length).toBe(values.length);
    for (let n = 0; n < 15; n++) {
      const i = Math.floor(random() * values.length);
      const kept = values[i]!;
      values[i] = kept + 1e-5;
      const up = loss();
      values[i] = kept - 1e-5;
      const down = loss();
      values[i] = kept;
      expect(Math.abs((up - down) / 2e-5 - gradient.data[i]!), `d_${name}[${i}]`).toBeLessThan(1e-6);
    }
  }
  return graph;
}

describe('differentiate', () => {
  it('gives the gradients of Qwen2 blocks with respect to their activations, by central differences', () => {
    check(qwen2First(shape), ['hidden']);
    check(qwen2Last(shape), ['attention', 'residual']);
    const graph = check(qwen2Block(shape), ['attention', 'residual']);
    // The values of k and q themselves are not needed again.
    const weights = graph.inputs.map(({ name }) => name);
    expect(weights).toContain('next.self_attn.q_proj.weight');
    expect(weights).not.toContain('next.self_attn.q_proj.bias');
    // With its output at hand, neither down_proj nor its input is computed again.
    const kept = check(qwen2Block(shape), ['attention', 'residual'], ['hidden']);
    expect(kept.nodes.length).toBe(graph.nodes.length - 2);
  });

  it('gives those of all LoRA weights of a block', () => {
    const targets = new Set(LORA_TARGETS);
    const forward = qwen2Block(shape, { r: 4, scaling: 2, own: targets, next: targets });
    const lora = forward.inputs.map(({ name }) => name).filter((name) => name.includes('lora_'));
    expect(lora).toHaveLength(14);
    check(forward, ['attention', 'residual', ...lora], ['hidden']);
  });

  it('gives those of weights, of LoRA terms with their scaling, and of LayerNorm and GELU', () => {
    const g = new GraphBuilder('lora');
    const x = g.input('x', ['rows', 12]);
    const base = g.gemm(x, g.input('weight', [8, 12]), g.input('bias', [8]));
    const low = g.gemm(x, g.input('lora_A', [4, 12]));
    g.output('y', g.gemm(low, g.input('lora_B', [8, 4]), base, 2));
    check(g.build(), ['x', 'lora_A', 'lora_B']);
    const siglip = {
      hidden_size: 12,
      intermediate_size: 20,
      patch_size: 2,
      num_channels: 3,
      layer_norm_eps: 1e-6,
    };
    check(siglipBlock(siglip, false), ['attention', 'residual']);
    const erf = new GraphBuilder('gelu');
    erf.output('y', erf.gelu(erf.input('x', ['rows', 8]), 'none'));
    check(erf.build(), ['x']);
  });

  it('says what it cannot do', () => {
    const g = new GraphBuilder('lora');
    const x = g.input('x', ['rows', 12]);
    g.output('y', g.gemm(x, g.input('weight', [8, 12]), g.input('bias', [8])));
    expect(() => differentiate(g.build(), ['z'])).toThrow(/no input z/);
    expect(() => differentiate(g.build(), ['bias'])).toThrow(/bias is frozen/);
    const other = new GraphBuilder('cat');
    other.output('y', other.concat([other.input('a', ['rows', 4]), other.input('b', ['rows', 4])], 0));
    expect(() => differentiate(other.build(), ['a'])).toThrow(/Concat has no derivative/);
  });
});
