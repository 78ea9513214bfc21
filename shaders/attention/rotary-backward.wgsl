// The gradient of rotary-append.wgsl: dq is turned back in place; the rows' dk (turned back) and dv are taken out of
// the gradients of the caches. A rotation's transpose is the rotation by the opposite angle.
//
// Grid: ceil(rows * (Q_HEADS + KV_HEADS) * D / 8 / 64) workgroups of 64, folded into x and y. A thread has 4 pairs
// of one row and head: elements 4j.. of the lower and of the upper half (rotate_half layout: pairs d, d + D/2).
// Memory: everything once. Limits: D a multiple of 8; all buffers distinct. Caches larger than one binding take a
// dispatch a window. Constants: D, Q_HEADS, KV_HEADS; element types Q4 (rows) and K4 (caches).

alias V4 = vec4<f32>;

struct Params {
  rows: u32,
  positions: u32, // rows of the table
  kv_rows: u32,   // rows of the caches' window,
  kv_start: u32,  // from this row; 0 also turns q
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec2<u32>>; // (position, slot) by row
@group(0) @binding(2) var<storage, read> table: array<V4>;       // [positions, cos D/2 | sin D/2]
@group(0) @binding(3) var<storage, read_write> dq: array<Q4>;    // [rows, Hq, D]
@group(0) @binding(4) var<storage, read> dk_cache: array<K4>;    // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> dv_cache: array<K4>;    // [T, Hkv, D]
@group(0) @binding(6) var<storage, read_write> dk: array<Q4>;    // [rows, Hkv, D]
@group(0) @binding(7) var<storage, read_write> dv: array<Q4>;    // [rows, Hkv, D]

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
  let slot = place.y - params.kv_start;
  if (place.x >= params.positions) {
    return;
  }
  let cosine = table[place.x * 2u * HALF + j];
  let sine = table[place.x * 2u * HALF + HALF + j];
  if (head < Q_HEADS) {
    if (params.kv_start != 0u) {
      return;
    }
    let at = (row * Q_HEADS + head) * 2u * HALF + j;
    let low = V4(dq[at]);
    let high = V4(dq[at + HALF]);
    dq[at] = Q4(low * cosine + high * sine);
    dq[at + HALF] = Q4(high * cosine - low * sine);
    return;
  }
  // Rows before the window wrap to numbers beyond it.
  if (slot >= params.kv_rows) {
    return;
  }
  let kv_head = head - Q_HEADS;
  let to_at = (row * KV_HEADS + kv_head) * 2u * HALF + j;
  let from_at = (slot * KV_HEADS + kv_head) * 2u * HALF + j;
  let low = V4(dk_cache[from_at]);
  let high = V4(dk_cache[from_at + HALF]);
  dk[to_at] = Q4(low * cosine + high * sine);
  dk[to_at + HALF] = Q4(high * cosine - low * sine);
  dv[to_at] = Q4(dv_cache[from_at]);
  dv[to_at + HALF] = Q4(dv_cache[from_at + HALF]);
}
