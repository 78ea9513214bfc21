// y = alpha a^T b (+ c): a [rows, N], b [rows, K], y [N, K], N and K multiples of 4. With a the gradient of a linear
// layer's output and b its input this is the gradient of its weight, as LoRA's A and B need it.
//
// Grid: (K / 16 B4, N / 4 A4), rounded up, or with SHARE_B (K / 4 B4, N / 16 A4); a workgroup is four threads in a row,
// each with 4 A4 x 4 B4 elements in registers, and walks all rows, four at a time. With SHARE_A the four threads need the
// same values of a: each loads one of the four rows, and they swap them in registers; with SHARE_B those of b. Meant for a
// narrow side (a LoRA rank), which is the shared one. Threads take the four rows in different orders, always the same
// ones, so the sum has the same bits in every run. c is a residual [N, K]: gradients of several batches add up.
// Counts (src/gpu/expand-wgsl.ts) and constants: A4, B4, BIAS (0), RESIDUAL; of SHARE_A, SHARE_B and ALONE (no subgroups)
// one is 1. Types: X_0 (of a), W_0 (of b), C, Y: vec4s.

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

fn put(n: u32, k: u32, value: vec4<f32>) {
  if (n < 4u * p.n4 && k < p.k4) {
    let at = n * p.k4 + k;
    var sum = value * p.alpha;
#for r in RESIDUAL
    sum += vec4<f32>(residual[at]);
#end
    y[at] = Y(sum);
  }
}

#for q in ALONE
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let n = group.y * A4;
  let k = (group.x * 4u + thread) * B4;
#end
#for q in SHARE_A
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) thread: u32) {
  let n = group.y * A4;
  let k = (group.x * 4u + (thread & 3u)) * B4;
#end
#for q in SHARE_B
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) thread: u32) {
  let n = (group.y * 4u + (thread & 3u)) * A4;
  let k = group.x * B4;
#end
#for i in A4
  let n$i = min(n + $iu, p.n4 - 1u);
#for j in B4
  var sum$i_$j_0 = vec4<f32>(0.0);
  var sum$i_$j_1 = vec4<f32>(0.0);
  var sum$i_$j_2 = vec4<f32>(0.0);
  var sum$i_$j_3 = vec4<f32>(0.0);
#end
#end
#for j in B4
  let k$j = min(k + $ju, p.k4 - 1u);
#end
  for (var first = 0u; first < p.rows; first += 4u) {
    // The rows in this thread's order; past the end they count nothing.
#for r in 4
#for q in ALONE
    let row$r = min(first + $ru, p.rows - 1u);
    let inside$r = first + $ru < p.rows;
#end
#for q in SHARE_A
    let row$r = min(first + ((thread & 3u) ^ $ru), p.rows - 1u);
#end
#for q in SHARE_B
    let row$r = min(first + ((thread & 3u) ^ $ru), p.rows - 1u);
#end
#end
#for q in SHARE_A
    let inside = first + (thread & 3u) < p.rows;
#for i in A4
    let left$i_0 = select(vec4<f32>(0.0), vec4<f32>(a[row0 * p.n4 + n$i]), inside);
    let left$i_1 = quadSwapX(left$i_0);
    let left$i_2 = quadSwapY(left$i_0);
    let left$i_3 = quadSwapDiagonal(left$i_0);
#end
#for j in B4
#for r in 4
    let right$j_$r = vec4<f32>(b[row$r * p.k4 + k$j]);
#end
#end
#end
#for q in SHARE_B
    let inside = first + (thread & 3u) < p.rows;
#for j in B4
    let right$j_0 = select(vec4<f32>(0.0), vec4<f32>(b[row0 * p.k4 + k$j]), inside);
    let right$j_1 = quadSwapX(right$j_0);
    let right$j_2 = quadSwapY(right$j_0);
    let right$j_3 = quadSwapDiagonal(right$j_0);
#end
#for i in A4
#for r in 4
    let left$i_$r = vec4<f32>(a[row$r * p.n4 + n$i]);
#end
#end
#end
#for q in ALONE
#for r in 4
#for i in A4
    let left$i_$r = select(vec4<f32>(0.0), vec4<f32>(a[row$r * p.n4 + n$i]), inside$r);
#end
#for j in B4
    let right$j_$r = vec4<f32>(b[row$r * p.k4 + k$j]);
#end
#end
#end
#for r in 4
#for i in A4
#for j in B4
    sum$i_$j_0 += left$i_$r.x * right$j_$r;
    sum$i_$j_1 += left$i_$r.y * right$j_$r;
    sum$i_$j_2 += left$i_$r.z * right$j_$r;
    sum$i_$j_3 += left$i_$r.w * right$j_$r;
#end
#end
#end
  }
#for i in A4
#for j in B4
#for c in 4
  put(4u * (n + $iu) + $cu, k + $ju, sum$i_$j_$c);
#end
#end
#end
}
