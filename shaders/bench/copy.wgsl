// The ceiling of memory: y = x. A thread copies one vec4; reads and writes 16 bytes each, does nothing else.
// Grid: threads in groups of 256, folded into two dimensions. Limits: whole vec4s.

struct Params {
  count: u32, // vec4s
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 256u + id.x;
  if (i < params.count) {
    y[i] = x[i];
  }
}
