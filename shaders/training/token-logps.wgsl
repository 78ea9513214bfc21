// What the loss needs of logits z [rows, V] at temperature T: per row the natural log-probability of its token, the
// entropy in nats, the largest logit and the logarithm of the sum of exp((z - largest) / T).
//
// Grid: (rows). WG threads share a row: each takes every WG-th logit, twice (the largest, then the sums); the first adds
// up what they found. Memory: logits twice, the second time from the cache. Constants: WG (1 on CPU adapters: a
// barrier costs more there than the sum).

struct Params {
  vocab: u32,
  first: u32, // row of `tokens` and `result` that the first row of logits stands for
  inverse_temperature: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;          // [rows, V]
@group(0) @binding(2) var<storage, read> tokens: array<u32>;          // token of each row
@group(0) @binding(3) var<storage, read_write> result: array<vec4<f32>>; // logp, entropy, largest, ln sum

var<workgroup> parts: array<vec2<f32>, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let at = group.x * p.vocab;
  var largest = -3.0e38;
  for (var i = thread; i < p.vocab; i += WG) {
    largest = max(largest, logits[at + i]);
  }
  if (WG > 1u) {
    parts[thread] = vec2<f32>(largest, 0.0);
    workgroupBarrier();
    for (var i = 0u; i < WG; i++) {
      largest = max(largest, parts[i].x);
    }
    workgroupBarrier();
  }
  var sums = vec2<f32>(0.0); // of exp(d), and of d exp(d), d = (logit - largest) / T
  for (var i = thread; i < p.vocab; i += WG) {
    let d = (logits[at + i] - largest) * p.inverse_temperature;
    let e = exp(d);
    sums += vec2<f32>(e, d * e);
  }
  if (WG > 1u) {
    parts[thread] = sums;
    workgroupBarrier();
    if (thread == 0u) {
      for (var i = 1u; i < WG; i++) {
        sums += parts[i];
      }
    }
  }
  if (thread == 0u) {
    let row = p.first + group.x;
    let ln_sum = log(sums.x);
    let logp = (logits[at + tokens[row]] - largest) * p.inverse_temperature - ln_sum;
    result[row] = vec4<f32>(logp, ln_sum - sums.y / sums.x, largest, ln_sum);
  }
}
