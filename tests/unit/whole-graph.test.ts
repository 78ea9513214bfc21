import { describe, expect, it } from 'vitest';
import { decodeSpec } from '../../src/bench/decode-scene';
import { wholeGraph } from '../../src/bench/whole-graph';
import { encodeModel } from '../../src/blocks/ort/onnx-proto';
import { sizeOf } from '../../src/gpu/tensor';

describe('the whole decoder in one graph', () => {
  it('has its weights as initialisers, each of its size', () => {
    const graph = wholeGraph(decodeSpec('small', 2), 8);
    const past = [0, 1].flatMap((i) => [`past.${i}.key`, `past.${i}.value`]);
    expect(graph.inputs.map(({ name }) => name)).toEqual(['tokens', 'seqlens', 'total', ...past]);
    expect(graph.outputs.length).toBe(5);
    let bytes = 0;
    for (const constant of graph.constants) {
      if (!('bytes' in constant)) continue;
      expect(constant.bytes.byteLength, constant.name).toBe(
        sizeOf(constant.dims) * (constant.type === 'f32' ? 4 : 1),
      );
      bytes += constant.bytes.byteLength;
    }
    expect(encodeModel(graph).byteLength).toBeGreaterThan(bytes);
    const known = new Set([
      '',
      ...graph.inputs.map(({ name }) => name),
      ...graph.constants.map(({ name }) => name),
    ]);
    for (const node of graph.nodes) {
      for (const name of node.inputs) expect(known.has(name), `${node.name} reads ${name}`).toBe(true);
      for (const name of node.outputs) known.add(name);
    }
    // Seven products a layer, and the head.
    const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
    expect([count('MatMulNBits'), count('Gemm'), count('GroupQueryAttention')]).toEqual([15, 0, 2]);
  });
});
