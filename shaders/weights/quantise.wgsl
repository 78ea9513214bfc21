// Weights as stored (f32, f16 or bf16) to 4 bits or 8 bits in blocks of 32, or to f16, and the error that this makes.
//
// Grid: one thread a block of 32 values of a row, workgroups of 64 folded into x and y. Layout of the codes:
// src/gpu/tensor.ts; f16 takes whole tensors as one row. Memory: every value read once (of q8 twice), every word written
// once. No barrier: with one, a CPU adapter takes twice as long.
// q4: of a grid of scales the one whose codes fit best in the sense of least squares, then two rounds of "best scale for
// the codes, nearest codes for the scale", each of which lowers the error. The largest value gets a negative code, of
// which there is one more: scales of the other sign would take 1e-4 off the squared error. Sums are over values divided
// by the largest, so that nothing overflows. q8: the largest value is 127 steps. f16: nearest even, at most +-65504.
// src/weights/quantise-reference.ts makes the same decisions in the same order.
// `partials` gets the sum of squared errors and the sum of squares of each block.
// Loop counts: F32, F16, BF16 (how values are stored) and Q4, Q8, H16: one of each group is 1, the others 0.

struct Params {
  rows: u32,
  columns: u32,
  blocks: u32,      // of a row
  first_block: u32, // of the tensor: where the first row of this part goes
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;

#for i in F32
fn stored(i: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(source[i], source[i + 1u], source[i + 2u], source[i + 3u]));
}
#end
#for i in F16
fn stored(i: u32) -> vec4<f32> {
  let words = pairs(i);
  return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
#end
#for i in BF16
fn stored(i: u32) -> vec4<f32> {
  let words = pairs(i);
  return bitcast<vec4<f32>>(vec4<u32>(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}
#end

// Elements i to i + 3, 16 bits each.
fn pairs(i: u32) -> vec2<u32> {
  let at = i / 2u;
  var words = vec2<u32>(source[at], source[at + 1u]);
  if (i % 2u == 1u) {
    words = (words >> vec2<u32>(16u)) | (vec2<u32>(words.y, source[at + 2u]) << vec2<u32>(16u));
  }
  return words;
}

// Values i to i + 3 of a block that has `count`, 0 past its end.
fn four(start: u32, i: u32, count: u32) -> vec4<f32> {
  let inside = vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(count);
  return select(vec4<f32>(0.0), stored(start + i), inside);
}

#for i in Q4
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

// Below it a block is zero: the quotients would not be finite.
const LEAST: f32 = 1e-37;
// Scales that are tried: the largest value at 6 to 9 steps, by quarters.
const TRIED: u32 = 13u;
const ROUNDS: u32 = 2u;

fn nearest(x: vec4<f32>) -> vec4<f32> {
  return clamp(round(x), vec4<f32>(-8.0), vec4<f32>(7.0));
}

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var largest = 0.0;
#for w in 8
  let v$w = four(start, 4u * $wu, count);
#for j in 4
  largest = select(largest, v$w[$j], abs(v$w[$j]) > abs(largest));
#end
#end
  if (abs(largest) < LEAST) {
    for (var word = 0u; word < 4u; word++) {
      codes[4u * block + word] = 0x88888888u;
    }
    scales[block] = 0.0;
    return vec2<f32>(0.0);
  }
#for w in 8
  let u$w = v$w / largest;
#end
  // The best scale of codes q is (sum u q) / (sum q^2), and its error sum u^2 - (sum u q)^2 / (sum q^2).
  var best = -1.0;
  var scale = 0.0;
  var steps = 0.0; // 1 / scale
  for (var turn = 0u; turn < TRIED + ROUNDS; turn++) {
    let tried = turn < TRIED;
    let by = select(steps, -6.0 - 0.25 * f32(turn), tried);
    var along = 0.0;
    var squares = 0.0;
#for w in 8
    let q$w = nearest(u$w * by);
    let p$w = u$w * q$w;
    along = along + p$w.x + p$w.y + p$w.z + p$w.w;
    squares += dot(q$w, q$w);
#end
    let gain = along * along / squares;
    if (!tried || gain > best) {
      best = gain;
      scale = along / squares;
      steps = squares / along;
    }
  }
  let step = largest * scale;
  scales[block] = step;
  var error = vec2<f32>(0.0);
#for w in 8
  let code$w = nearest(u$w * steps);
  let bits$w = vec4<u32>(vec4<i32>(code$w) + 8) << vec4<u32>(0u, 4u, 8u, 12u);
  let half$w = bits$w.x | bits$w.y | bits$w.z | bits$w.w;
  let miss$w = v$w - step * code$w;
  error += vec2<f32>(dot(miss$w, miss$w), dot(v$w, v$w));
#end
  codes[4u * block] = half0 | (half1 << 16u);
  codes[4u * block + 1u] = half2 | (half3 << 16u);
  codes[4u * block + 2u] = half4 | (half5 << 16u);
  codes[4u * block + 3u] = half6 | (half7 << 16u);
  return error;
}
#end
#for i in Q8
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

const LEAST: f32 = 1e-37;

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var most = vec4<f32>(0.0);
  for (var word = 0u; word < 8u; word++) {
    most = max(most, abs(four(start, 4u * word, count)));
  }
  let largest = max(max(most.x, most.y), max(most.z, most.w));
  let zero = largest < LEAST;
  // As a product: compilers make one of a quotient by a constant, and not all in the same way.
  let step = select(largest * (1.0 / 127.0), 0.0, zero);
  scales[block] = step;
  var error = vec2<f32>(0.0);
  for (var word = 0u; word < 8u; word++) {
    let v = four(start, 4u * word, count);
    let q = select(round(v / largest * 127.0), vec4<f32>(0.0), zero);
    let bits = vec4<u32>(vec4<i32>(q) + 128) << vec4<u32>(0u, 8u, 16u, 24u);
    codes[8u * block + word] = bits.x | bits.y | bits.z | bits.w;
    let miss = v - step * q;
    error += vec2<f32>(dot(miss, miss), dot(v, v));
  }
  return error;
}
#end
#for i in H16
// Bits of the nearest halves, ties to even; beyond 65504 that.
fn halves(v: vec4<f32>) -> vec4<u32> {
  let bits = bitcast<vec4<u32>>(v);
  let size = bits & vec4<u32>(0x7fffffffu);
  let normal = ((size + 0xfffu + ((size >> vec4<u32>(13u)) & vec4<u32>(1u))) >> vec4<u32>(13u)) - 0x1c000u;
  // Subnormal halves are multiples of 2^-24.
  let tiny = vec4<u32>(round(min(abs(v), vec4<f32>(1.0)) * 16777216.0));
  let sign = (bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u);
  let finite = select(normal, tiny, size < vec4<u32>(0x38800000u));
  return sign | select(finite, vec4<u32>(0x7bffu), size >= vec4<u32>(0x477fe000u));
}

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var error = vec2<f32>(0.0);
  for (var i = 0u; i < count; i += 4u) {
    let v = four(start, i, count);
    let bits = halves(v);
    let low = bits.x | (bits.y << 16u);
    let high = bits.z | (bits.w << 16u);
    codes[16u * block + i / 2u] = low;
    if (i + 2u < count) {
      codes[16u * block + i / 2u + 1u] = high;
    }
    let miss = v - vec4<f32>(unpack2x16float(low), unpack2x16float(high));
    error += vec2<f32>(dot(miss, miss), dot(v, v));
  }
  return error;
}
#end

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = group.y * groups.x + group.x;
  let own = index * 64u + thread;
  if (own < p.rows * p.blocks) {
    let column = own % p.blocks * 32u;
    let start = own / p.blocks * p.columns + column;
    partials[own] = quantise(p.first_block + own, start, min(32u, p.columns - column));
  }
}
