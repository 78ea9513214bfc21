// y = alpha x W (+ c) for W [N, K] of q4, q8 or f16: x [rows, N], y [rows, K], K a multiple of 4. With W a layer's
// weight [out, in] this is the gradient of a linear layer with respect to its input, through frozen weights.
//
// Grid: (K / 8 / WG, rows / R), rounded up. A thread makes R rows x 8 columns in registers, without workgroup memory:
// per row of W it unpacks one octet for R * 8 multiply-adds; neighbouring threads read neighbouring words of W and the
// same values of x. Rows past the end repeat the last one and are not written.
// Constant: WG; loop counts R, WIDE (N is a multiple of 4) and ANY: of the two one is 1, one 0;
// element types X1, X4, C4 and Y4 of f32 or f16. Behind weight-octet.wgsl.

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias, 2: c is a residual
  alpha: f32,
  blocks: u32, // of a row of W
}

@group(0) @binding(0) var<uniform> p: Params;
#for i in WIDE
@group(0) @binding(1) var<storage, read> x: array<X4>;
#end
#for i in ANY
@group(0) @binding(1) var<storage, read> x: array<X1>;
#end
@group(0) @binding(3) var<storage, read> c: array<C4>; // bias [K] or residual [rows, K]
@group(0) @binding(4) var<storage, read_write> y: array<Y4>;

fn put(row: u32, column: u32, value: vec4<f32>) {
  if (row >= p.rows || column >= p.k4) {
    return;
  }
  var sum = value * p.alpha;
  if (p.mode == 1u) {
    sum += vec4<f32>(c[column]);
  } else if (p.mode == 2u) {
    sum += vec4<f32>(c[row * p.k4 + column]);
  }
  y[row * p.k4 + column] = Y4(sum);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let o = id.x;
  let row = id.y * R_COUNT;
  if (2u * o >= p.k4) {
    return;
  }
#for r in R
  let row$r = min(row + $ru, p.rows - 1u);
  var low$r = vec4<f32>(0.0);
  var high$r = vec4<f32>(0.0);
#end
#for i in WIDE
  for (var n = 0u; n < p.n; n += 4u) {
#for j in 4
    let w$j = octet(n + $ju, o);
#end
#for r in R
    let x$r = vec4<f32>(x[(row$r * p.n + n) / 4u]);
    low$r += mat4x4<f32>(w0.low, w1.low, w2.low, w3.low) * x$r;
    high$r += mat4x4<f32>(w0.high, w1.high, w2.high, w3.high) * x$r;
#end
  }
#end
#for i in ANY
  for (var n = 0u; n < p.n; n++) {
    let w0 = octet(n, o);
#for r in R
    let x$r = f32(x[row$r * p.n + n]);
    low$r += x$r * w0.low;
    high$r += x$r * w0.high;
#end
  }
#end
#for r in R
  put(row + $ru, 2u * o, low$r);
  put(row + $ru, 2u * o + 1u, high$r);
#end
}
