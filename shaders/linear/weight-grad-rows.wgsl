// y = alpha a^T b (+ c), on a GPU: a [rows, N], b [rows, K], y [N, K], N and K multiples of 4. As weight-grad.wgsl, for a
// narrow side (a LoRA rank), where there are few elements and many rows.
//
// Grid: (K / 64, N / 4) with ALONG_B, where b is the wide side, else (K / 4, N / 64), rounded up. 256 threads: 16 along
// the wide side, so that they read neighbouring addresses, by 16 that share the rows; each makes 4 x 4 elements, and the
// 16 parts are added up in workgroup memory (16 KiB) in order, so the sum has the same bits in every run. The wide side
// is read once for every 4 columns of the narrow one. c is a residual [N, K].
// Counts (src/gpu/expand-wgsl.ts) and constants: BIAS (0), RESIDUAL; of ALONG_A and ALONG_B one is 1, one 0.
// Types: X_0 (of a), W_0 (of b), C, Y: vec4s.

struct Params {
  rows: u32,
  k4: u32,
  n4: u32,
  unused: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<X_0>;
@group(0) @binding(2) var<storage, read> b: array<W_0>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
#for r in RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<C>;
#end

var<workgroup> parts: array<vec4<f32>, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % 16u;
  let share = thread / 16u;
#for s in ALONG_B
  let n = group.y;
  let k = group.x * 16u + lane;
#end
#for s in ALONG_A
  let n = group.y * 16u + lane;
  let k = group.x;
#end
  let read_n = min(n, p.n4 - 1u);
  let read_k = min(k, p.k4 - 1u);
#for i in 4
  var sum$i = vec4<f32>(0.0);
#end
  for (var row = share; row < p.rows; row += 16u) {
    let left = vec4<f32>(a[row * p.n4 + read_n]);
    let right = vec4<f32>(b[row * p.k4 + read_k]);
    sum0 += left.x * right;
    sum1 += left.y * right;
    sum2 += left.z * right;
    sum3 += left.w * right;
  }
#for i in 4
  parts[($iu * 16u + share) * 16u + lane] = sum$i;
#end
  workgroupBarrier();
  // Now `share` is one of the four rows of y.
  if (share < 4u && n < p.n4 && k < p.k4) {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i++) {
      sum += parts[(share * 16u + i) * 16u + lane];
    }
    sum *= p.alpha;
    let at = (4u * n + share) * p.k4 + k;
#for r in RESIDUAL
    sum += vec4<f32>(residual[at]);
#end
    y[at] = Y(sum);
  }
}
