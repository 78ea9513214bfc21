import type { GraphModel } from './graph';
import { GraphBuilder, type Value } from './graph-builder';

/** Dimensions of a SigLIP vision tower, by the names of `vision_config`. */
export interface SiglipShape {
  hidden_size: number;
  intermediate_size: number;
  patch_size: number;
  num_channels: number;
  layer_norm_eps: number;
}

/** Values of a patch: the inner length of the patch embedding. */
export function patchLength(shape: { patch_size: number; num_channels: number }): number {
  return shape.num_channels * shape.patch_size ** 2;
}

/*
 * Weights of a graph carry their checkpoint name below the layer (`mlp.fc1.weight`); those of the layer after it
 * begin with `next.`. C = hidden_size.
 */

/**
 * patches `[rows, 3 * patch_size^2]` (see `CutPatches`), positions `[rows, C]` (the position table, once a frame) ->
 * hidden `[rows, C]`, the embeddings; unless `last` (no layer is used), also q, k, v of layer 0. The convolution's
 * weight is taken as `[C, 3 * patch_size^2]`, which is the same memory.
 */
export function siglipFirst(shape: SiglipShape, last: boolean): GraphModel {
  const { hidden_size: C } = shape;
  const K = patchLength(shape);
  const g = new GraphBuilder('siglip first');
  const patches = g.input('patches', ['rows', K]);
  const hidden = g.add(
    linear(g, patches, 'embeddings.patch_embedding', K, C),
    g.input('positions', ['rows', C]),
  );
  g.output('hidden', hidden);
  if (!last) nextQkv(g, hidden, shape);
  return g.build();
}

/**
 * attention, residual `[rows, C]` -> hidden `[rows, C]`, the output of the encoder layer; unless `last`, also
 * q, k, v of the next one.
 */
export function siglipBlock(shape: SiglipShape, last: boolean): GraphModel {
  const { hidden_size: C, intermediate_size: M } = shape;
  const g = new GraphBuilder(last ? 'siglip last block' : 'siglip block');
  const attention = g.input('attention', ['rows', C]);
  const residual = g.input('residual', ['rows', C]);
  const projected = linear(g, attention, 'self_attn.out_proj', C, C);
  const h = g.add(projected, residual);
  const normed = norm(g, h, 'layer_norm2', shape);
  const wide = g.gelu(linear(g, normed, 'mlp.fc1', C, M), 'tanh');
  const hidden = g.add(linear(g, wide, 'mlp.fc2', M, C), h);
  g.output('hidden', hidden);
  if (!last) nextQkv(g, hidden, shape);
  return g.build();
}

function nextQkv(g: GraphBuilder, hidden: Value, shape: SiglipShape): void {
  const C = shape.hidden_size;
  const normed = norm(g, hidden, 'next.layer_norm1', shape);
  for (const name of ['q', 'k', 'v']) {
    g.output(name, linear(g, normed, `next.self_attn.${name}_proj`, C, C));
  }
}

function linear(g: GraphBuilder, x: Value, name: string, from: number, to: number): Value {
  return g.gemm(x, g.input(`${name}.weight`, [to, from]), g.input(`${name}.bias`, [to]));
}

function norm(g: GraphBuilder, x: Value, name: string, shape: SiglipShape): Value {
  const { hidden_size, layer_norm_eps } = shape;
  return g.layerNorm(
    x,
    g.input(`${name}.weight`, [hidden_size]),
    g.input(`${name}.bias`, [hidden_size]),
    layer_norm_eps,
  );
}
