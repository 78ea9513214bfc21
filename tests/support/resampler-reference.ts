import type { TinyLlavaConfig } from '../../src/model/config';
import { positionEncoding } from '../../src/model/resampler-position-encoding';
import { erf } from './block-reference';

type Weight = (name: string) => ArrayLike<number>;
type Rows = Float64Array[];

/**
 * Both resamplers in float64, line by line as groupresampler.py and naiveresampler.py have them.
 * @param weight a connector tensor by its name after `connector._connector.`
 * @param x features `[S, vision channels]`
 * @returns visual tokens `[num_queries, H]`
 */
export function resamplerReference(
  config: TinyLlavaConfig,
  weight: Weight,
  x: ArrayLike<number>,
): Float64Array<ArrayBuffer> {
  const { connector, text_config, vision_config } = config;
  const naive = connector.connector_type === 'naiveresampler';
  const H = text_config.hidden_size;
  let media = linear(rowsOf(x, vision_config.hidden_size), weight('linear.weight'), weight('linear.bias'));
  if (naive) media = plus(media, rowsOf(positionEncoding(media.length, H), H));
  const out: Rows = [];
  const least = Math.floor(media.length / connector.group);
  let from = 0;
  for (let g = 0; g < connector.group; g++) {
    const to = from + least + (g < media.length % connector.group ? 1 : 0);
    let latents = rowsOf(weight('latents'), H);
    for (let i = 0; i < connector.num_resampler_layers; i++) {
      const own: Weight = (name) => weight(`layers.${i}.${name}`);
      latents = plus(attend(media.slice(from, to), latents, own), latents);
      const normed = layerNorm(latents, own('1.0.weight'), own('1.0.bias'));
      const wide = linear(normed, own('1.1.weight')).map((row) =>
        row.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
      );
      latents = plus(linear(wide, own('1.3.weight')), latents);
    }
    out.push(...layerNorm(latents, weight('norm.weight'), weight('norm.bias')));
    from = to;
  }
  const placed = naive ? out : plus(out, rowsOf(positionEncoding(out.length, H), H));
  return Float64Array.from(placed.flatMap((row) => [...row]));
}

/** PerceiverAttention: 8 heads of 64; keys and values of the media and the latents. */
function attend(media: Rows, latents: Rows, weight: Weight): Rows {
  const own = layerNorm(latents, weight('0.norm_latents.weight'), weight('0.norm_latents.bias'));
  const seen = [...layerNorm(media, weight('0.norm_media.weight'), weight('0.norm_media.bias')), ...own];
  const q = linear(own, weight('0.to_q.weight'));
  const kv = linear(seen, weight('0.to_kv.weight'));
  const inner = q[0]!.length;
  const mixed = q.map((query) => {
    const result = new Float64Array(inner);
    for (let head = 0; head < inner; head += 64) {
      const scores = kv.map((row) => {
        let sum = 0;
        for (let d = head; d < head + 64; d++) sum += query[d]! * 64 ** -0.5 * row[d]!;
        return sum;
      });
      const largest = Math.max(...scores);
      const exps = scores.map((score) => Math.exp(score - largest));
      const total = exps.reduce((a, b) => a + b, 0);
      for (const [i, row] of kv.entries())
        for (let d = head; d < head + 64; d++) result[d]! += (exps[i]! / total) * row[inner + d]!;
    }
    return result;
  });
  return linear(mixed, weight('0.to_out.weight'));
}

function rowsOf(values: ArrayLike<number>, width: number): Rows {
  const all = Float64Array.from(values);
  return Array.from({ length: all.length / width }, (_, i) => all.slice(i * width, (i + 1) * width));
}

function linear(x: Rows, w: ArrayLike<number>, bias?: ArrayLike<number>): Rows {
  return x.map((row) => {
    const out = new Float64Array(w.length / row.length);
    for (let o = 0; o < out.length; o++) {
      let sum = bias ? bias[o]! : 0;
      for (let i = 0; i < row.length; i++) sum += row[i]! * w[o * row.length + i]!;
      out[o] = sum;
    }
    return out;
  });
}

function layerNorm(x: Rows, w: ArrayLike<number>, bias: ArrayLike<number>): Rows {
  return x.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * w[i]! + bias[i]!);
  });
}

function plus(a: Rows, b: Rows): Rows {
  return a.map((row, r) => row.map((v, i) => v + b[r]![i]!));
}
