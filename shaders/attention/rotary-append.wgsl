// Rotary embedding of q (in place) and k, and appending k (rotated) and v to their caches, in one pass.
//
// Grid: ceil(rows * (Q_HEADS + KV_HEADS) * D / 8 / 64) workgroups of 64, folded into x and y. A thread has 4 pairs
// of one row and head: elements 4j.. of the lower and of the upper half (rotate_half layout: pairs d, d + D/2).
// Memory: reads q, k, v and the row's table line once, writes q and the cache rows once.
// Caches larger than one binding take a dispatch a window.
// Limits: D a multiple of 8; the buffers of q, k and v are distinct from the caches. Constants: D, Q_HEADS, KV_HEADS;
// element types Q4 (rows) and K4 (caches).

alias V4 = vec4<f32>;

struct Params {
  rows: u32,
  positions: u32, // rows of the table
  kv_rows: u32,   // rows of the caches' window,
  kv_start: u32,  // from this row; 0 also turns q
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec2<u32>>;      // (position, slot) by row
@group(0) @binding(2) var<storage, read> table: array<V4>;            // [positions, cos D/2 | sin D/2]
@group(0) @binding(3) var<storage, read_write> q: array<Q4>;          // [rows, Hq, D]
@group(0) @binding(4) var<storage, read> k: array<Q4>;                // [rows, Hkv, D]
@group(0) @binding(5) var<storage, read> v: array<Q4>;                // [rows, Hkv, D]
@group(0) @binding(6) var<storage, read_write> k_cache: array<K4>;    // [T, Hkv, D]
@group(0) @binding(7) var<storage, read_write> v_cache: array<K4>;    // [T, Hkv, D]

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
    let low = V4(q[at]);
    let high = V4(q[at + HALF]);
    q[at] = Q4(low * cosine - high * sine);
    q[at + HALF] = Q4(high * cosine + low * sine);
    return;
  }
  // Rows before the window wrap to numbers beyond it.
  if (slot >= params.kv_rows) {
    return;
  }
  let kv_head = head - Q_HEADS;
  let from_at = (row * KV_HEADS + kv_head) * 2u * HALF + j;
  let to_at = (slot * KV_HEADS + kv_head) * 2u * HALF + j;
  let low = V4(k[from_at]);
  let high = V4(k[from_at + HALF]);
  k_cache[to_at] = K4(low * cosine - high * sine);
  k_cache[to_at + HALF] = K4(high * cosine + low * sine);
  v_cache[to_at] = K4(v[from_at]);
  v_cache[to_at + HALF] = K4(v[from_at + HALF]);
}
