import type { GraphModel } from './graph';
import { GraphBuilder, type Value } from './graph-builder';

/** Dimensions of a resampler. */
export interface ResamplerShape {
  /** Channels of the vision tower. */
  vision_hidden_size: number;
  /** H, channels of the language model and of everything after `linear`. */
  hidden_size: number;
  /** Heads times head size. */
  inner_size: number;
  /** Channels between the two layers of the feed-forward. */
  intermediate_size: number;
  layer_norm_eps: number;
  /** What the position table is added to: the naive resampler's features, or the group resampler's visual tokens. */
  positions_on: 'media' | 'output';
}

/**
 * The original's `linear`: x `[rows, vision_hidden_size]` -> media `[rows, H]`, where positions are on media with
 * position_encoding `[rows, H]` added.
 */
export function resamplerLinear(shape: ResamplerShape): GraphModel {
  const { vision_hidden_size, hidden_size } = shape;
  const g = new GraphBuilder('resampler linear');
  const x = g.input('x', ['rows', vision_hidden_size]);
  const weight = g.input('linear.weight', [hidden_size, vision_hidden_size]);
  const media = g.gemm(x, weight, g.input('linear.bias', [hidden_size]));
  const placed = shape.positions_on === 'media';
  g.output('media', placed ? g.add(media, g.input('position_encoding', ['rows', hidden_size])) : media);
  return g.build();
}

/** media `[rows, H]` -> k, v `[rows, inner]` of a layer. */
export function resamplerMedia(shape: ResamplerShape): GraphModel {
  const g = new GraphBuilder('resampler media');
  const media = norm(g, g.input('media', ['rows', shape.hidden_size]), 'next.0.norm_media', shape);
  keysAndValues(g, media, shape);
  return g.build();
}

/** latents `[queries, H]` -> q, k, v `[queries, inner]` of the first layer. */
export function resamplerFirst(shape: ResamplerShape): GraphModel {
  const g = new GraphBuilder('resampler first');
  const latents = g.input('latents', ['queries', shape.hidden_size]);
  nextQkv(g, latents, shape);
  return g.build();
}

/**
 * attention `[queries, inner]`, residual `[queries, H]` -> latents `[queries, H]`, the output of the layer, and q, k, v
 * `[queries, inner]` of the next one.
 */
export function resamplerBlock(shape: ResamplerShape): GraphModel {
  const g = new GraphBuilder('resampler block');
  const latents = layerOutput(g, shape);
  g.output('latents', latents);
  nextQkv(g, latents, shape);
  return g.build();
}

/**
 * attention, residual -> output `[queries, H]`, after the last LayerNorm; where positions are on the output, also
 * position_encoding `[queries, H]` -> before_pe, and output = before_pe + position_encoding.
 */
export function resamplerLast(shape: ResamplerShape): GraphModel {
  const g = new GraphBuilder('resampler last block');
  const latents = layerOutput(g, shape);
  const normed = norm(g, latents, 'next.norm', shape);
  if (shape.positions_on === 'media') {
    g.output('output', normed);
    return g.build();
  }
  g.output('before_pe', normed);
  g.output('output', g.add(normed, g.input('position_encoding', ['queries', shape.hidden_size])));
  return g.build();
}

function layerOutput(g: GraphBuilder, shape: ResamplerShape): Value {
  const { hidden_size: H, inner_size, intermediate_size: M } = shape;
  const attention = g.input('attention', ['queries', inner_size]);
  const residual = g.input('residual', ['queries', H]);
  const attended = g.gemm(attention, g.input('0.to_out.weight', [H, inner_size]), residual);
  const normed = norm(g, attended, '1.0', shape);
  const wide = g.gelu(g.gemm(normed, g.input('1.1.weight', [M, H])), 'none');
  return g.gemm(wide, g.input('1.3.weight', [H, M]), attended);
}

function nextQkv(g: GraphBuilder, latents: Value, shape: ResamplerShape): void {
  const own = norm(g, latents, 'next.0.norm_latents', shape);
  g.output('q', g.gemm(own, g.input('next.0.to_q.weight', [shape.inner_size, shape.hidden_size])));
  keysAndValues(g, own, shape);
}

// The published weight holds k and v one above the other; the model splits it, as an input has no offset.
function keysAndValues(g: GraphBuilder, normed: Value, { hidden_size: H, inner_size }: ResamplerShape): void {
  g.output('k', g.gemm(normed, g.input('next.0.to_k.weight', [inner_size, H])));
  g.output('v', g.gemm(normed, g.input('next.0.to_v.weight', [inner_size, H])));
}

function norm(g: GraphBuilder, x: Value, name: string, shape: ResamplerShape): Value {
  const { hidden_size, layer_norm_eps } = shape;
  return g.layerNorm(
    x,
    g.input(`${name}.weight`, [hidden_size]),
    g.input(`${name}.bias`, [hidden_size]),
    layer_norm_eps,
  );
}
