// y = alpha x W (+ c): x [rows, N], W [N, K], y [rows, K], N and K multiples of 4. With W a layer's weight [out, in]
// this is the gradient of a linear layer with respect to its input, through frozen weights.
//
// Grid: (K / 4 / WG, rows / 4), rounded up. A thread makes 4 rows x 4 columns in registers, without workgroup memory:
// per step of 4 channels it loads 4 + 4 vec4 for 64 multiply-adds; neighbouring threads read neighbouring columns of W.
// Rows past the end repeat the last one and are not written. Constant: WG.

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias [K], 2: c is a residual [rows, K]
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn put(row: u32, column: u32, value: vec4<f32>) {
  if (row >= p.rows) {
    return;
  }
  var sum = value * p.alpha;
  if (p.mode == 1u) {
    sum += c[column];
  } else if (p.mode == 2u) {
    sum += c[row * p.k4 + column];
  }
  y[row * p.k4 + column] = sum;
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x;
  let row = id.y * 4u;
  if (column >= p.k4) {
    return;
  }
  let n4 = p.n / 4u;
  let last = p.rows - 1u;
  let x0 = row * n4;
  let x1 = min(row + 1u, last) * n4;
  let x2 = min(row + 2u, last) * n4;
  let x3 = min(row + 3u, last) * n4;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var n = 0u; n < n4; n++) {
    let at = n * 4u * p.k4 + column;
    let tile = mat4x4<f32>(w[at], w[at + p.k4], w[at + 2u * p.k4], w[at + 3u * p.k4]);
    sum0 += tile * x[x0 + n];
    sum1 += tile * x[x1 + n];
    sum2 += tile * x[x2 + n];
    sum3 += tile * x[x3 + n];
  }
  put(row, column, sum0);
  put(row + 1u, column, sum1);
  put(row + 2u, column, sum2);
  put(row + 3u, column, sum3);
}
