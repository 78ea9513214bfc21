// The gradient of norm.wgsl with respect to x, through a frozen weight: with h = (x - mean) * scale (mean 0 for RMSNorm)
// and g = dy * weight, dx = scale * (g - mean(g) - h * mean(g * h)), where mean(g) is left out for RMSNorm.
//
// Grid: rows / ROWS, rounded up. LANES threads share a row; x, weight and dy are read up to three times (from the cache),
// dx written once. Counts and constants as norm.wgsl. Types: X, W, D, Y: vec4s.

struct Params {
  rows: u32,
  n4: u32,
  layer: u32, // 0: RMSNorm, 1: LayerNorm
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<W>;
@group(0) @binding(3) var<storage, read> dy: array<D>;
@group(0) @binding(4) var<storage, read_write> dx: array<Y>;

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
  var along = 0.0;
  var level = 0.0;
  for (var i = lane; i < p.n4; i += LANES) {
    let g = vec4<f32>(dy[at + i]) * vec4<f32>(weight[i]);
    along += dot(g, (vec4<f32>(x[at + i]) - mean) * scale);
    level += dot(g, vec4<f32>(1.0));
  }
  along = total(thread, along) / n;
  if (p.layer == 1u) {
    level = total(thread, level) / n;
  } else {
    level = 0.0;
  }
  if (wanted >= p.rows) {
    return;
  }
  for (var i = lane; i < p.n4; i += LANES) {
    let g = vec4<f32>(dy[at + i]) * vec4<f32>(weight[i]);
    dx[at + i] = Y(scale * (g - level - (vec4<f32>(x[at + i]) - mean) * scale * along));
  }
}
