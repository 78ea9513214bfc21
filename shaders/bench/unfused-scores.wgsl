// Plain attention, first of three: scores = scale q k^T, every one in memory. What it is compared with, not used.
// One thread a score, no workgroup memory. Grid: threads in groups of 64, folded. Limits: D a multiple of 4.
// Constants: D, Q_HEADS, KV_HEADS.

struct Params {
  scale: f32,
  rows: u32,     // query rows of a sequence
  keys: u32,     // keys of a sequence
  causal: u32,   // 1: the last row sees all keys, the one before it one less
  count: u32,    // scores
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;         // [B, rows, Hq, D]
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;         // [B, keys, Hkv, D]
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;    // [B, Hq, rows, keys]

const C: u32 = D / 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let key = i % params.keys;
  let row = (i / params.keys) % params.rows;
  let head = (i / params.keys / params.rows) % Q_HEADS;
  let b = i / params.keys / params.rows / Q_HEADS;
  if (params.causal == 1u && key + params.rows > row + params.keys) {
    scores[i] = -3.4e38;
    return;
  }
  let at = ((b * params.rows + row) * Q_HEADS + head) * C;
  let begin = ((b * params.keys + key) * KV_HEADS + head / (Q_HEADS / KV_HEADS)) * C;
  var sum = vec4<f32>(0.0);
  for (var c = 0u; c < C; c++) {
    sum += q[at + c] * k[begin + c];
  }
  scores[i] = params.scale * dot(sum, vec4<f32>(1.0));
}
