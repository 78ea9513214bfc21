// SwiGLU's product: y = silu(gate) * up, element by element; silu(v) = v / (1 + exp(-v)).
// Grid: elements / 4 / 64, folded into two dimensions. Reads gate and up once, writes y once. Types: A, B, Y: vec4s.

struct Params {
  n4: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gate: array<A>;
@group(0) @binding(2) var<storage, read> up: array<B>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.n4) {
    return;
  }
  let g = vec4<f32>(gate[i]);
  y[i] = Y(g / (1.0 + exp(-max(g, vec4<f32>(-80.0)))) * vec4<f32>(up[i]));
}
