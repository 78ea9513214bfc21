// RMSNorm and LayerNorm over the last axis: x [rows, N] -> y [rows, N], N a multiple of 4. The variance is taken in a
// second walk around the mean, as PyTorch does.
//
// Grid: rows / ROWS, rounded up. LANES threads share a row; x is read three times (from the cache), y written once.
// Counts (src/gpu/expand-wgsl.ts) and constants: LANES, ROWS; a workgroup has LANES * ROWS threads. How lanes add up: of
// ALONE (one lane: CPU adapters, where a barrier is dear), SUBGROUP (shuffles; LANES is a power of 2, not above the
// smallest subgroup) and BARRIER (workgroup memory) one is 1.
// Types: X, W, B, Y: vec4s.

struct Params {
  rows: u32,
  n4: u32,
  layer: u32, // 0: RMSNorm (bias is not used), 1: LayerNorm
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<B>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

#for b in BARRIER
var<workgroup> parts: array<f32, LANES * ROWS>;
#end

// Sum over the lanes of a row, known to all of them.
fn total(thread: u32, value: f32) -> f32 {
#for a in ALONE
  return value;
#end
#for s in SUBGROUP
  var sum = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    sum += subgroupShuffleXor(sum, step);
  }
  return sum;
#end
#for b in BARRIER
  workgroupBarrier();
  parts[thread] = value;
  workgroupBarrier();
  let first = thread / LANES * LANES;
  var sum = 0.0;
  for (var i = 0u; i < LANES; i++) {
    sum += parts[first + i];
  }
  return sum;
#end
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let wanted = group.x * ROWS + thread / LANES;
  let row = min(wanted, p.rows - 1u);
  let at = row * p.n4;
  let n = f32(p.n4 * 4u);
  var mean = 0.0;
  if (p.layer == 1u) {
    var sum = 0.0;
    for (var i = lane; i < p.n4; i += LANES) {
      sum += dot(vec4<f32>(x[at + i]), vec4<f32>(1.0));
    }
    mean = total(thread, sum) / n;
  }
  var squares = 0.0;
  for (var i = lane; i < p.n4; i += LANES) {
    let d = vec4<f32>(x[at + i]) - mean;
    squares += dot(d, d);
  }
  let scale = 1.0 / sqrt(total(thread, squares) / n + p.epsilon);
  if (wanted >= p.rows) {
    return;
  }
  for (var i = lane; i < p.n4; i += LANES) {
    var value = (vec4<f32>(x[at + i]) - mean) * scale * vec4<f32>(weight[i]);
    if (p.layer == 1u) {
      value += vec4<f32>(bias[i]);
    }
    y[at + i] = Y(value);
  }
}
