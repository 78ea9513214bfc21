// y = f(a, b) element by element, shapes equal. f by OP: 0 a + b, 1 a * b; and gradients, b being the output's:
// 2 sigmoid (a its output), 3 GELU with tanh, 4 GELU with erf (a their input).
// Grid: elements / 4 / 64, folded into two dimensions. Reads a and b once, writes y once. Constant: OP.
// Types: A, B, Y: vec4s.
// erf comes from erf.wgsl, put before this text.

struct Params {
  n4: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<A>;
@group(0) @binding(2) var<storage, read> b: array<B>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.n4) {
    return;
  }
  let u = vec4<f32>(a[i]);
  let v = vec4<f32>(b[i]);
  if (OP == 0u) {
    y[i] = Y(u + v);
  } else if (OP == 1u) {
    y[i] = Y(u * v);
  } else if (OP == 2u) {
    y[i] = Y(v * u * (1.0 - u));
  } else if (OP == 3u) {
    // tanh is flat long before 15, where its exponentials are still finite.
    let t = tanh(clamp(0.7978845608 * (u + 0.044715 * u * u * u), vec4<f32>(-15.0), vec4<f32>(15.0)));
    y[i] = Y(v * (0.5 * (1.0 + t) + 0.5 * u * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * u * u)));
  } else {
    let bell = exp(-0.5 * min(u * u, vec4<f32>(160.0))) * 0.3989422804;
    y[i] = Y(v * (0.5 * (1.0 + erf(u * 0.7071067812)) + u * bell));
  }
}
