// Plain attention, second of three: a softmax over each row of scores, in place.
// Grid: one workgroup of LANES threads a row, folded. Constants: LANES.

struct Params {
  scale: f32,
  rows: u32,
  keys: u32,
  causal: u32,
  count: u32, // rows of scores
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>; // [count, keys]

var<workgroup> shared_value: array<f32, LANES>;

fn fold_max(lane: u32, value: f32) -> f32 {
  shared_value[lane] = value;
  workgroupBarrier();
  var most = shared_value[0];
  for (var i = 1u; i < LANES; i++) {
    most = max(most, shared_value[i]);
  }
  workgroupBarrier();
  return most;
}

fn fold_sum(lane: u32, value: f32) -> f32 {
  shared_value[lane] = value;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < LANES; i++) {
    total += shared_value[i];
  }
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  let live = row < params.count;
  let end = select(0u, params.keys, live);
  let at = row * params.keys;
  var most = -3.4e38;
  for (var i = lane; i < end; i += LANES) {
    most = max(most, scores[at + i]);
  }
  most = fold_max(lane, most);
  var total = 0.0;
  for (var i = lane; i < end; i += LANES) {
    total += exp(scores[at + i] - most);
  }
  total = fold_sum(lane, total);
  for (var i = lane; i < end; i += LANES) {
    scores[at + i] = exp(scores[at + i] - most) / total;
  }
}
