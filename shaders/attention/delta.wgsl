// The softmax's own term of the backward pass: delta = sum over the head of o * do, into `stats`.
//
// Grid: ceil(rows * Q_HEADS / 64) workgroups of 64, folded into x and y; a thread has one row and head.
// Memory: o and do once, one float of stats a row and head. Constants: D; element type Q4.

alias V4 = vec4<f32>;

struct Params {
  count: u32, // rows * Q_HEADS
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> o: array<Q4>;           // [rows, Hq, D]
@group(0) @binding(2) var<storage, read> d_o: array<Q4>;         // [rows, Hq, D]
@group(0) @binding(3) var<storage, read_write> stats: array<V4>; // [rows, Hq]: max, ln sum, delta, 0

const C: u32 = D / 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let at = id.y * groups.x * 64u + id.x;
  if (at >= params.count) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < C; c++) {
    sum += dot(V4(o[at * C + c]), V4(d_o[at * C + c]));
  }
  stats[at].z = sum;
}
