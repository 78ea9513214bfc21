// The gradient of rotary-append.wgsl: dq is turned back in place; the rows' dk (turned back) and dv are taken out of
// the gradients of the caches. A rotation's transpose is the rotation by the opposite angle.
//
// Grid: ceil(rows * (Q_HEADS + KV_HEADS) * D / 8 / 64) workgroups of 64, folded into x and y. A thread has 4 pairs
// of one row and head: elements 4j.. of the lower and of the upper half (rotate_half layout: pairs d, d + D/2).
// Memory: everything once. Limits: D a multiple of 8; all buffers distinct. Constants: D, Q_HEADS, KV_HEADS.

alias V4 = vec4<f32>;

struct Params {
  rows: u32,
  positions: u32, // rows of the table
  kv_rows: u32,   // rows of the caches
  spare: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec2<u32>>; // (position, slot) by row
@group(0) @binding(2) var<storage, read> table: array<V4>;       // [positions, cos D/2 | sin D/2]
@group(0) @binding(3) var<storage, read_write> dq: array<V4>;    // [rows, Hq, D]
@group(0) @binding(4) var<storage, read> dk_cache: array<V4>;    // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> dv_cache: array<V4>;    // [T, Hkv, D]
@group(0) @binding(6) var<storage, read_write> dk: array<V4>;    // [rows, Hkv, D]
@group(0) @binding(7) var<storage, read_write> dv: array<V4>;    // [rows, Hkv, D]

const HALF: u32 = D / 8u; // vec4s in half a head
const HEADS: u32 = Q_HEADS + KV_HEADS;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * 64u + id.x;
  let j = thread % HALF;
  let head = thread / HALF % HEADS;
  let row = thread / HALF / HEADS;
  if (row >= params.rows) {
    return;
  }
  let place = rows[row];
  if (place.x >= params.positions || place.y >= params.kv_rows) {
    return;
  }
  let cosine = table[place.x * 2u * HALF + j];
  let sine = table[place.x * 2u * HALF + HALF + j];
  if (head < Q_HEADS) {
    let at = (row * Q_HEADS + head) * 2u * HALF + j;
    let low = dq[at];
    let high = dq[at + HALF];
    dq[at] = low * cosine + high * sine;
    dq[at + HALF] = high * cosine - low * sine;
    return;
  }
  let kv_head = head - Q_HEADS;
  let to_at = (row * KV_HEADS + kv_head) * 2u * HALF + j;
  let from_at = (place.y * KV_HEADS + kv_head) * 2u * HALF + j;
  let low = dk_cache[from_at];
  let high = dk_cache[from_at + HALF];
  dk[to_at] = low * cosine + high * sine;
  dk[to_at + HALF] = high * cosine - low * sine;
  dv[to_at] = dv_cache[from_at];
  dv[to_at + HALF] = dv_cache[from_at + HALF];
}
