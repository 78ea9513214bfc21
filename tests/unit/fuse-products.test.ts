import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/blocks/differentiate';
import { fuseSwiGlu } from '../../src/blocks/fuse-swiglu';
import type { GraphModel } from '../../src/blocks/graph';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { LORA_TARGETS, qwen2Block } from '../../src/blocks/qwen2-graphs';
import { fuseProducts } from '../../src/blocks/wgsl/fuse-products';
import { blockReference, type Dense } from '../support/block-reference';
import { randomValues } from '../support/random-values';

const shape = {
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  rms_norm_eps: 1e-6,
  vocab_size: 16,
};
const targets = new Set(LORA_TARGETS);
const block = qwen2Block(shape, { r: 4, scaling: 2, own: targets, next: targets });
const lora = block.inputs.map(({ name }) => name).filter((name) => name.includes('.lora_'));
const backward = differentiate(block, ['attention', 'residual', ...lora]);

function inputsOf(graph: GraphModel): Record<string, Dense> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dims }, i) => {
      const size = dims!.map((dim) => (typeof dim === 'number' ? dim : 3));
      return [
        name,
        {
          data: randomValues(
            size.reduce((a, b) => a * b, 1),
            i + 1,
          ),
          shape: size,
        },
      ];
    }),
  );
}

function operators(graph: GraphModel, op: string): number {
  return graph.nodes.filter((node) => node.op === op).length;
}

describe('fuseProducts', () => {
  it('gives the same values in fewer passes, forward and backward', () => {
    for (const graph of [block, backward]) {
      const fused = fuseProducts(fuseSwiGlu(graph), () => true);
      const inputs = inputsOf(graph);
      const expected = blockReference(graph, inputs);
      const found = blockReference(fused, inputs);
      for (const [name, { data }] of Object.entries(expected))
        for (let i = 0; i < data.length; i++)
          expect(Math.abs(found[name]!.data[i]! - data[i]!), name).toBeLessThan(1e-9);
    }
  });

  it('takes LoRA with its layer, and sums of gradients with the products that make them', () => {
    const forward = fuseProducts(fuseSwiGlu(block), () => true);
    // Seven layers with B, seven A, two norms, SwiGLU.
    expect(forward.nodes).toHaveLength(17);
    const back = fuseProducts(backward, () => true);
    expect(operators(backward, 'Add')).toBeGreaterThan(10);
    // What is left adds gradients of a norm.
    expect(operators(back, 'Add')).toBeLessThanOrEqual(2);
  });

  it('leaves what another node or the caller reads, and products that may not have two terms', () => {
    const g = new GraphBuilder('read twice');
    const x = g.input('x', ['rows', 8]);
    const base = g.gemm(x, g.input('w', [8, 8]));
    g.output('base', base);
    g.output('y', g.gemm(x, g.input('v', [8, 8]), base));
    expect(fuseProducts(g.build(), () => true).nodes).toHaveLength(2);
    const plain = fuseProducts(block, ({ inputs }) => inputs[1] !== 'mlp.up_proj.weight');
    const apart = plain.nodes.find(({ inputs }) => inputs[1] === 'mlp.up_proj.weight');
    expect(apart?.attributes.terms).toBeUndefined();
    const both = new GraphBuilder('silu read');
    const [gate, up] = [both.input('gate', ['rows', 8]), both.input('up', ['rows', 8])];
    const silu = both.mul(gate, both.node('Sigmoid', [gate]));
    both.output('silu', silu);
    both.output('y', both.mul(silu, up));
    expect(operators(fuseSwiGlu(both.build()), 'SwiGlu')).toBe(0);
  });
});
