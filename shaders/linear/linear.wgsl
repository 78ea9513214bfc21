// y = alpha x W^T (+ bias or residual), many rows: x [rows, K], W [N, K], y [rows, N], K a multiple of 4.
//
// Grid: (N / 4 / WG, rows / 4), rounded up. A thread makes 4 rows x 4 columns in registers, without workgroup memory:
// per step of 4 channels it loads 4 + 4 vec4 for 64 multiply-adds. x and W are read once per tile of the other side;
// neighbouring threads share their rows of x. Rows and columns past the end repeat the last one and are not written.
// Constant: WG.

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

fn put(row: u32, column: u32, value: f32) {
  if (row >= p.rows || column >= p.n) {
    return;
  }
  var sum = value * p.alpha;
  if (p.mode == 1u) {
    sum += c[column];
  } else if (p.mode == 2u) {
    sum += c[row * p.n + column];
  }
  y[row * p.n + column] = sum;
}

fn put4(row: u32, column: u32, value: vec4<f32>) {
  put(row, column, value.x);
  put(row, column + 1u, value.y);
  put(row, column + 2u, value.z);
  put(row, column + 3u, value.w);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x * 4u;
  let row = id.y * 4u;
  if (column >= p.n) {
    return;
  }
  let k4 = p.k4;
  let lastRow = p.rows - 1u;
  let lastColumn = p.n - 1u;
  let x0 = row * k4;
  let x1 = min(row + 1u, lastRow) * k4;
  let x2 = min(row + 2u, lastRow) * k4;
  let x3 = min(row + 3u, lastRow) * k4;
  let w0 = column * k4;
  let w1 = min(column + 1u, lastColumn) * k4;
  let w2 = min(column + 2u, lastColumn) * k4;
  let w3 = min(column + 3u, lastColumn) * k4;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var k = 0u; k < k4; k++) {
    let a = w[w0 + k];
    let b = w[w1 + k];
    let d = w[w2 + k];
    let e = w[w3 + k];
    let r0 = x[x0 + k];
    sum0 += vec4<f32>(dot(r0, a), dot(r0, b), dot(r0, d), dot(r0, e));
    let r1 = x[x1 + k];
    sum1 += vec4<f32>(dot(r1, a), dot(r1, b), dot(r1, d), dot(r1, e));
    let r2 = x[x2 + k];
    sum2 += vec4<f32>(dot(r2, a), dot(r2, b), dot(r2, d), dot(r2, e));
    let r3 = x[x3 + k];
    sum3 += vec4<f32>(dot(r3, a), dot(r3, b), dot(r3, d), dot(r3, e));
  }
  put4(row, column, sum0);
  put4(row + 1u, column, sum1);
  put4(row + 2u, column, sum2);
  put4(row + 3u, column, sum3);
}
