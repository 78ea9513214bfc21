// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2, as in torch.optim.AdamW), in place:
// w -= lr * weight_decay * w; m, v = moments of g * clip; w -= step_size * m / (sqrt(v) / bias2 + eps).
// What changes from step to step (learning rate, bias correction, clipping) is data, not part of the pipeline.
//
// Grid: elements / 64, folded into two dimensions. Reads w, g, m, v once, writes w, m, v once.

struct Params {
  count: u32,
  clip: f32,      // what the gradient is multiplied by
  beta1: f32,
  beta2: f32,
  eps: f32,
  decay: f32,     // 1 - lr * weight_decay
  step_size: f32, // lr / (1 - beta1^t)
  bias2: f32,     // sqrt(1 - beta2^t)
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.count) {
    return;
  }
  let gradient = g[i] * p.clip;
  let first = m[i] + (1.0 - p.beta1) * (gradient - m[i]);
  let second = p.beta2 * v[i] + (1.0 - p.beta2) * gradient * gradient;
  m[i] = first;
  v[i] = second;
  w[i] = w[i] * p.decay - p.step_size * first / (sqrt(second) / p.bias2 + p.eps);
}
