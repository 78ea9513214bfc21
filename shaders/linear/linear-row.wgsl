// y = alpha x W^T (+ bias or residual), few rows: x [rows, K], W [N, K], y [rows, N], K a multiple of 4.
//
// Grid: (N / COLUMNS, rows), rounded up. LANES threads share a column: each takes every LANES-th vec4 of the two rows,
// so that neighbouring threads read neighbouring addresses of W, and the first adds up what they found. W is read once
// a row. With LANES = 1 (CPU adapters, where a barrier costs more than the product) there is no barrier.
// Constants: LANES, COLUMNS; a workgroup has LANES * COLUMNS threads.

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias [N], 2: c is a residual [rows, N]
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

var<workgroup> parts: array<f32, LANES * COLUMNS>;

@compute @workgroup_size(LANES * COLUMNS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let column = group.x * COLUMNS + thread / LANES;
  let row = group.y;
  let start = min(column, p.n - 1u) * p.k4;
  var sum = 0.0;
  for (var k = lane; k < p.k4; k += LANES) {
    sum += dot(x[row * p.k4 + k], w[start + k]);
  }
  if (LANES > 1u) {
    parts[thread] = sum;
    workgroupBarrier();
    if (lane == 0u) {
      for (var i = 1u; i < LANES; i++) {
        sum += parts[thread + i];
      }
    }
  }
  if (lane > 0u || column >= p.n) {
    return;
  }
  sum *= p.alpha;
  if (p.mode == 1u) {
    sum += c[column];
  } else if (p.mode == 2u) {
    sum += c[row * p.n + column];
  }
  y[row * p.n + column] = sum;
}
