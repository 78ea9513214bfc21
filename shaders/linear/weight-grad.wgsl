// y = alpha a^T b (+ c): a [rows, N], b [rows, K], y [N, K], N and K multiples of 4. With a the gradient of a linear
// layer's output and b its input this is the gradient of its weight, as LoRA's A and B need it.
//
// Grid: (N / 4 * K / 4 / 64), folded into two dimensions. A thread makes 4 x 4 elements and walks all rows in order, so
// the sum has the same bits in every run. Reads a K / 4 times and b N / 4 times, mostly from the cache: meant for
// a narrow side (a LoRA rank). c is a residual [N, K]: gradients of several batches add up.

struct Params {
  rows: u32,
  n4: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 2: c is added
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn put(at: u32, value: vec4<f32>) {
  var sum = value * p.alpha;
  if (p.mode == 2u) {
    sum += c[at];
  }
  y[at] = sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.n4 * p.k4) {
    return;
  }
  let n = i / p.k4;
  let k = i % p.k4;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var row = 0u; row < p.rows; row++) {
    let left = a[row * p.n4 + n];
    let right = b[row * p.k4 + k];
    sum0 += left.x * right;
    sum1 += left.y * right;
    sum2 += left.z * right;
    sum3 += left.w * right;
  }
  let at = 4u * n * p.k4 + k;
  put(at, sum0);
  put(at + p.k4, sum1);
  put(at + 2u * p.k4, sum2);
  put(at + 3u * p.k4, sum3);
}
