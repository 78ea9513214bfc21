// What the backward kernels over keys share: the work list, their operands, and which keys a row sees. Put before their
// code.
//
// Work list (src/attention/key-plan.ts), in vec4<u32>s:
//   tile: first KV row of the window, keys, place of the first key in its segment, 0 | first run, runs, 0, 0
//   run:  first query row, rows, place of the first row in its segment, 1 where it is the keys' own causal segment
// The query heads of a KV head are packed with a run's rows into "virtual rows": row * GROUP + head.
// Constants: D, Q_HEADS, KV_HEADS; ROLLED, 1 where loops over a head are to stay loops; element types Q4 (rows' tensors)
// and K4 (the KV storage), vec4 of f32 or f16.

alias V4 = vec4<f32>;
alias U4 = vec4<u32>;

struct Params {
  scale: f32,
  tiles: u32,      // all key tiles, two U4 each; the runs follow them
  first_tile: u32, // of this dispatch
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> work: array<U4>;
@group(0) @binding(2) var<storage, read> q: array<Q4>;        // [rows, Hq, D]
@group(0) @binding(3) var<storage, read> k: array<K4>;        // [T, Hkv, D]
@group(0) @binding(4) var<storage, read> v: array<K4>;        // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> d_o: array<Q4>;      // [rows, Hq, D]
@group(0) @binding(6) var<storage, read> stats: array<V4>;    // [rows, Hq]: max, ln sum, delta, 0
@group(0) @binding(7) var<storage, read_write> dk: array<K4>; // [T, Hkv, D]
@group(0) @binding(8) var<storage, read_write> dv: array<K4>; // [T, Hkv, D]

const C: u32 = D / 4u;
const GROUP: u32 = Q_HEADS / KV_HEADS;

/// C, as the end of a loop over a head. Where ROLLED, the compiler cannot know it: one that unrolls such loops (Mesa's
/// lavapipe) takes minutes for what takes it seconds.
fn head_end() -> u32 {
  return select(C, C | (params.tiles >> 31u), ROLLED == 1u);
}

/// Where a virtual row of a run begins, in heads of q.
fn row_at(run: U4, vr: u32, kv_head: u32) -> u32 {
  return (run.x + vr / GROUP) * Q_HEADS + kv_head * GROUP + vr % GROUP;
}

/// Places of the keys' segment that a virtual row sees, from 1: all of an ancestor, none for a row past the end.
fn places_seen(run: U4, vr: u32) -> u32 {
  let places = select(0xffffffffu, run.z + vr / GROUP + 1u, run.w == 1u);
  return select(0u, places, vr < run.y * GROUP);
}

/// The first virtual row of a run that sees a place: rows before it do not.
fn first_row(run: U4, place: u32) -> u32 {
  return select(0u, max(place, run.z) - run.z, run.w == 1u) * GROUP;
}
