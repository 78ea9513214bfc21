// Weights as stored (f32, f16 or bf16) to 4 bits or 8 bits in blocks of 32, or to f16, and the error that this makes.
//
// Grid: one thread a block of 32 values of a row, workgroups of 64 folded into x and y. Layout of the codes:
// src/gpu/tensor.ts; f16 takes whole tensors as one row. Memory: every value read once, every word written once.
// q4: of a grid of scales, either sign, the one whose codes fit best in the sense of least squares, then two rounds of
// "best scale for the codes, nearest codes for the scale", each of which lowers the error. Sums are over values divided
// by the largest, so that nothing overflows. q8: the largest value is 127 steps. f16: nearest even, at most +-65504.
// src/weights/quantise-reference.ts makes the same decisions in the same order.
// `partials` gets the sum of squared errors and the sum of squares of each workgroup's values.
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

var<workgroup> sums: array<vec2<f32>, 64>;

fn value(i: u32) -> f32 {
#for i in F32
  return bitcast<f32>(source[i]);
#end
#for i in F16
  return unpack2x16float(source[i / 2u])[i % 2u];
#end
#for i in BF16
  return bitcast<f32>((source[i / 2u] >> (16u * (i % 2u))) << 16u);
#end
}

#for i in Q4
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

// Below it a block is zero: the quotients would not be finite.
const LEAST: f32 = 1e-37;

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var v: array<f32, 32>;
  var largest = 0.0;
  for (var i = 0u; i < 32u; i++) {
    v[i] = 0.0;
    if (i < count) {
      v[i] = value(start + i);
    }
    if (abs(v[i]) > abs(largest)) {
      largest = v[i];
    }
  }
  if (abs(largest) < LEAST) {
    for (var word = 0u; word < 4u; word++) {
      codes[4u * block + word] = 0x88888888u;
    }
    scales[block] = 0.0;
    return vec2<f32>(0.0);
  }
  var u: array<f32, 32>;
  for (var i = 0u; i < 32u; i++) {
    u[i] = v[i] / largest;
  }
  // Steps a largest value, 5 to 9 of either sign; codes go from -8 to 7.
  var best = -1.0;
  var scale = 0.0;
  for (var candidate = 0u; candidate < 34u; candidate++) {
    let size = 5.0 + 0.25 * f32(candidate / 2u);
    let steps = select(size, -size, candidate % 2u == 0u);
    var along = 0.0;
    var squares = 0.0;
    for (var i = 0u; i < 32u; i++) {
      let q = clamp(round(u[i] * steps), -8.0, 7.0);
      along += u[i] * q;
      squares += q * q;
    }
    // The error of the best scale along / squares is sum u^2 - along^2 / squares.
    let gain = along * along / squares;
    if (gain > best) {
      best = gain;
      scale = along / squares;
    }
  }
  for (var turn = 0u; turn < 2u; turn++) {
    var along = 0.0;
    var squares = 0.0;
    for (var i = 0u; i < 32u; i++) {
      let q = clamp(round(u[i] / scale), -8.0, 7.0);
      along += u[i] * q;
      squares += q * q;
    }
    scale = along / squares;
  }
  let step = largest * scale;
  scales[block] = step;
  var error = vec2<f32>(0.0);
  for (var word = 0u; word < 4u; word++) {
    var bits = 0u;
    for (var j = 0u; j < 8u; j++) {
      let i = 8u * word + j;
      let q = clamp(round(u[i] / scale), -8.0, 7.0);
      bits |= (u32(i32(q) + 8) & 15u) << (4u * j);
      let miss = v[i] - step * q;
      error += vec2<f32>(miss * miss, v[i] * v[i]);
    }
    codes[4u * block + word] = bits;
  }
  return error;
}
#end
#for i in Q8
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

const LEAST: f32 = 1e-37;

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var largest = 0.0;
  for (var i = 0u; i < count; i++) {
    largest = max(largest, abs(value(start + i)));
  }
  let zero = largest < LEAST;
  // As a product: compilers make one of a quotient by a constant, and not all in the same way.
  let step = select(largest * (1.0 / 127.0), 0.0, zero);
  scales[block] = step;
  var error = vec2<f32>(0.0);
  for (var word = 0u; word < 8u; word++) {
    var bits = 0u;
    for (var j = 0u; j < 4u; j++) {
      let i = 4u * word + j;
      var q = 0.0;
      if (i < count) {
        let v = value(start + i);
        q = select(round(v / largest * 127.0), 0.0, zero);
        let miss = v - step * q;
        error += vec2<f32>(miss * miss, v * v);
      }
      bits |= (u32(i32(q) + 128) & 255u) << (8u * j);
    }
    codes[8u * block + word] = bits;
  }
  return error;
}
#end
#for i in H16
// Bits of the nearest half, ties to even; beyond 65504 that.
fn half(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size >= 0x477fe000u) {
    return sign | 0x7bffu;
  }
  if (size < 0x38800000u) {
    // Subnormal halves are multiples of 2^-24.
    return sign | u32(round(abs(v) * 16777216.0));
  }
  return sign | (((size + 0xfffu + ((size >> 13u) & 1u)) >> 13u) - 0x1c000u);
}

fn quantise(block: u32, start: u32, count: u32) -> vec2<f32> {
  var error = vec2<f32>(0.0);
  for (var word = 0u; word < (count + 1u) / 2u; word++) {
    let i = start + 2u * word;
    let second = 2u * word + 1u < count;
    let a = value(i);
    var b = 0.0;
    if (second) {
      b = value(i + 1u);
    }
    let bits = half(a) | (half(b) << 16u);
    codes[16u * block + word] = bits;
    let miss = vec2<f32>(a, b) - unpack2x16float(bits);
    error += vec2<f32>(miss.x * miss.x + miss.y * miss.y, a * a + b * b);
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
  var error = vec2<f32>(0.0);
  if (own < p.rows * p.blocks) {
    let column = own % p.blocks * 32u;
    let start = own / p.blocks * p.columns + column;
    error = quantise(p.first_block + own, start, min(32u, p.columns - column));
  }
  sums[thread] = error;
  workgroupBarrier();
  if (thread == 0u) {
    var total = vec2<f32>(0.0);
    for (var i = 0u; i < 64u; i++) {
      total += sums[i];
    }
    partials[index] = total;
  }
}
