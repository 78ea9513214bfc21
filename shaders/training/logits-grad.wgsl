// The gradient of the loss with respect to logits z, in place of them: dl/dz_v = g (1[v = token] - softmax(z / T)_v) / T,
// where g is the gradient with respect to the token's log-probability at temperature T.
//
// Grid: rows * V / 64, folded into two dimensions. Memory: logits once in and out.

struct Params {
  count: u32, // rows * V
  vocab: u32,
  first: u32, // row of `tokens`, `stats` and `gradients` that the first row of logits stands for
  inverse_temperature: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>; // from token-logps.wgsl
@group(0) @binding(3) var<storage, read> gradients: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.count) {
    return;
  }
  let row = p.first + i / p.vocab;
  let probability = exp((logits[i] - stats[row].z) * p.inverse_temperature - stats[row].w);
  logits[i] = gradients[row] * p.inverse_temperature * (select(0.0, 1.0, i % p.vocab == tokens[row]) - probability);
}
