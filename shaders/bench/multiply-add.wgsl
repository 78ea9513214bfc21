// The ceiling of arithmetic: CHAINS independent chains of vec4 multiply-adds a thread, and nothing read.
// Grid: threads in groups of 64. CHAINS * 4 * 2 operations a turn and thread; a result is written only where it is a
// value that does not come up, so that nothing is optimised away. Constants: T (the element type), CHAINS.

alias V4 = vec4<T>;

struct Params {
  turns: u32,
  by: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let by = V4(T(params.by));
  let plus = V4(T(0.001), T(0.002), T(0.003), T(0.004));
#for c in CHAINS
  var x$c = V4(T(id.x & 7u) + T($c));
#end
  for (var i = 0u; i < params.turns; i++) {
#for c in CHAINS
    x$c = fma(x$c, by, plus);
#end
  }
  var sum = V4(T(0.0));
#for c in CHAINS
  sum += x$c;
#end
  if (f32(sum.x + sum.y + sum.z + sum.w) == 12345.678) {
    y[0] = f32(sum.x);
  }
}
