// y = alpha x W (+ c): x [rows, N], W [N, K], y [rows, K], K a multiple of 4, N too (WIDE) or any (ANY). With W a
// layer's weight [out, in] this is the gradient of a linear layer with respect to its input, through frozen weights.
//
// Grid: (K / 4 / WG, rows / 4), rounded up. A thread makes 4 rows x 4 columns in registers, without workgroup memory:
// per step of 4 channels it loads 4 + 4 vec4 for 64 multiply-adds; neighbouring threads read neighbouring columns of W.
// Rows past the end repeat the last one and are not written. Constant: WG; loop counts WIDE and ANY: one is 1, one 0
// (src/gpu/expand-wgsl.ts).

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias [K], 2: c is a residual [rows, K]
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#for i in WIDE
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#end
#for i in ANY
@group(0) @binding(1) var<storage, read> x: array<f32>;
#end
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Elements 4n.. of a row of x; 0 past its end.
fn take(row: u32, n: u32) -> vec4<f32> {
#for i in WIDE
  return x[row * (p.n / 4u) + n];
#end
#for i in ANY
  let at = row * p.n;
  let end = p.n - 4u * n;
  let from_at = at + 4u * n;
  return vec4<f32>(
    x[from_at],
    select(0.0, x[min(from_at + 1u, at + p.n - 1u)], end > 1u),
    select(0.0, x[min(from_at + 2u, at + p.n - 1u)], end > 2u),
    select(0.0, x[min(from_at + 3u, at + p.n - 1u)], end > 3u),
  );
#end
}

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
  let n4 = (p.n + 3u) / 4u;
  let last = p.rows - 1u;
  let row1 = min(row + 1u, last);
  let row2 = min(row + 2u, last);
  let row3 = min(row + 3u, last);
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var n = 0u; n < n4; n++) {
    let at = 4u * n;
    let end = p.n - 1u;
    let tile = mat4x4<f32>(
      w[at * p.k4 + column],
      w[min(at + 1u, end) * p.k4 + column],
      w[min(at + 2u, end) * p.k4 + column],
      w[min(at + 3u, end) * p.k4 + column],
    );
    sum0 += tile * take(row, n);
    sum1 += tile * take(row1, n);
    sum2 += tile * take(row2, n);
    sum3 += tile * take(row3, n);
  }
  put(row, column, sum0);
  put(row + 1u, column, sum1);
  put(row + 2u, column, sum2);
  put(row + 3u, column, sum3);
}
