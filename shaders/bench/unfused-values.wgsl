// Plain attention, last of three: o = p v.
// One thread four channels of a row and head, no workgroup memory. Grid: threads in groups of 64, folded.
// Limits: D a multiple of 4. Constants: D, Q_HEADS, KV_HEADS.

struct Params {
  scale: f32,
  rows: u32,
  keys: u32,
  causal: u32,
  count: u32, // vec4s of o
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<f32>;               // [B, Hq, rows, keys]
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;         // [B, keys, Hkv, D]
@group(0) @binding(3) var<storage, read_write> o: array<vec4<f32>>;   // [B, rows, Hq, D]

const C: u32 = D / 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let c = i % C;
  let head = (i / C) % Q_HEADS;
  let row = (i / C / Q_HEADS) % params.rows;
  let b = i / C / Q_HEADS / params.rows;
  let at = ((b * Q_HEADS + head) * params.rows + row) * params.keys;
  let begin = (b * params.keys * KV_HEADS + head / (Q_HEADS / KV_HEADS)) * C + c;
  var sum = vec4<f32>(0.0);
  for (var key = 0u; key < params.keys; key++) {
    sum += p[at + key] * v[begin + key * KV_HEADS * C];
  }
  o[i] = sum;
}
