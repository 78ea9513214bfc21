// The gradients of swiglu.wgsl: with s = sigmoid(gate), d_up = dy * gate * s and
// d_gate = dy * up * s * (1 + gate * (1 - s)).
// Grid: elements / 4 / 64, folded into two dimensions. Reads gate, up and dy once, writes d_gate and d_up once.
// Types: A, B, D, Y, Z (of d_up): vec4s.

struct Params {
  n4: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gate: array<A>;
@group(0) @binding(2) var<storage, read> up: array<B>;
@group(0) @binding(3) var<storage, read> dy: array<D>;
@group(0) @binding(4) var<storage, read_write> d_gate: array<Y>;
@group(0) @binding(5) var<storage, read_write> d_up: array<Z>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.n4) {
    return;
  }
  let g = vec4<f32>(gate[i]);
  let d = vec4<f32>(dy[i]);
  let e = exp(-max(g, vec4<f32>(-80.0)));
  let s = 1.0 / (1.0 + e);
  // 1 - s is e s, which keeps its digits where s is near 1.
  d_gate[i] = Y(d * vec4<f32>(up[i]) * s * (1.0 + g * (e * s)));
  d_up[i] = Z(d * g * s);
}
