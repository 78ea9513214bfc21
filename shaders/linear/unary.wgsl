// y = f(x) element by element. f by OP: 0 sigmoid, 1 GELU with tanh, 2 GELU with erf.
// Grid: elements / 4 / 64, folded into two dimensions. Reads x once, writes y once. Constant: OP.
// Types: X, Y: vec4s.
// erf comes from erf.wgsl, put before this text.

struct Params {
  n4: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.n4) {
    return;
  }
  let v = vec4<f32>(x[i]);
  if (OP == 0u) {
    y[i] = Y(1.0 / (1.0 + exp(-max(v, vec4<f32>(-80.0)))));
  } else if (OP == 1u) {
    // tanh is flat long before 15, where its exponentials are still finite.
    let inner = clamp(0.7978845608 * (v + 0.044715 * v * v * v), vec4<f32>(-15.0), vec4<f32>(15.0));
    y[i] = Y(0.5 * v * (1.0 + tanh(inner)));
  } else {
    y[i] = Y(0.5 * v * (1.0 + erf(v * 0.7071067812)));
  }
}
