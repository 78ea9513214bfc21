// y[i] = x[index[first + i]], rows of W vec4s. Grid: count * W / 64, folded into two dimensions. Everything once.

struct Params {
  count: u32,
  w4: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.count * p.w4) {
    return;
  }
  y[i] = x[index[p.first + i / p.w4] * p.w4 + i % p.w4];
}
