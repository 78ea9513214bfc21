// Attention over segment trees, backward with respect to the queries: no workgroup memory, no barriers.
//
// p = exp(scale q.k - max - ln sum), dp = do.v, ds = scale p (dp - delta), dq = sum over keys of ds k
// (FlashAttention-2, arXiv 2307.08691, section 3.1). max and ln sum are kept apart, so p stays right at scores of 1e4.
// Grid and packing as forward.wgsl: (tiles, KV heads); a thread takes R virtual rows through all visible keys, B at
// a time. Memory: q, do, stats and dq once, K and V once per thread, K twice (the second time from the cache).
// Registers: R * D. Limits as forward.wgsl. Constants: D, R, B, Q_HEADS, KV_HEADS, WG.

alias V4 = vec4<f32>;

struct Params {
  scale: f32,
}

struct Tile {
  row: u32,
  count: u32,
  range_first: u32,
  range_count: u32,
  start: u32,
  length: u32,
  offset: u32,
  causal: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<Tile>;
@group(0) @binding(2) var<storage, read> ranges: array<vec2<u32>>; // first KV row, rows
@group(0) @binding(3) var<storage, read> q: array<V4>;             // [rows, Hq, D]
@group(0) @binding(4) var<storage, read> k: array<V4>;             // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> v: array<V4>;             // [T, Hkv, D]
@group(0) @binding(6) var<storage, read> d_o: array<V4>;           // [rows, Hq, D]
@group(0) @binding(7) var<storage, read> stats: array<V4>;         // [rows, Hq]: max, ln sum, delta, 0
@group(0) @binding(8) var<storage, read_write> dq: array<V4>;      // [rows, Hq, D]

const C: u32 = D / 4u;
const GROUP: u32 = Q_HEADS / KV_HEADS;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tile = tiles[group.x];
  let kv_head = group.y;
  let virtual_rows = tile.count * GROUP;
  for (var first = thread * R; first < virtual_rows; first += WG * R) {
#for r in R
    // Rows past the end repeat the last one and are not written.
    let vr$r = min(first + $ru, virtual_rows - 1u);
    let row$r = vr$r / GROUP;
    let at$r = (tile.row + row$r) * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
    let own$r = select(tile.length, min(tile.offset + row$r + 1u, tile.length), tile.causal == 1u);
    let stat$r = stats[at$r];
#end
    var acc: array<V4, R * C>;
    // Set by hand: one compiler zeroes a loop's variables only before its first turn.
    for (var c = 0u; c < R * C; c++) {
      acc[c] = V4(0.0);
    }
    // Virtual rows ascend, so the last one sees most.
    let own_most = select(tile.length, min(tile.offset + (min(first + R, virtual_rows) - 1u) / GROUP + 1u, tile.length), tile.causal == 1u);
    for (var part = 0u; part <= tile.range_count; part++) {
      let is_own = part == tile.range_count;
      var range = vec2<u32>(tile.start, own_most);
      if (!is_own) {
        range = ranges[tile.range_first + part];
      }
#for r in R
      let limit$r = select(range.y, own$r, is_own);
#end
      for (var key = 0u; key < range.y; key += B) {
#for b in B
        let kv$b = ((range.x + min(key + $bu, range.y - 1u)) * KV_HEADS + kv_head) * C;
#for r in R
        var s$r_$b = 0.0;
        var dp$r_$b = 0.0;
#end
#end
        for (var c = 0u; c < C; c++) {
#for r in R
          let q$r = q[at$r * C + c];
          let do$r = d_o[at$r * C + c];
#end
#for b in B
          let k$b = k[kv$b + c];
          let v$b = v[kv$b + c];
#for r in R
          s$r_$b += dot(q$r, k$b);
          dp$r_$b += dot(do$r, v$b);
#end
#end
        }
#for r in R
#for b in B
        let p$r_$b = exp(s$r_$b * params.scale - stat$r.x - stat$r.y);
        let ds$r_$b = select(0.0, params.scale * p$r_$b * (dp$r_$b - stat$r.z), key + $bu < limit$r);
#end
#end
        for (var c = 0u; c < C; c++) {
#for b in B
          let again$b = k[kv$b + c];
#end
#for r in R
          acc[$ru * C + c] = acc[$ru * C + c]
#for b in B
            + ds$r_$b * again$b
#end
            ;
#end
        }
      }
    }
#for r in R
    if (first + $ru < virtual_rows) {
      for (var c = 0u; c < C; c++) {
        dq[at$r * C + c] = acc[$ru * C + c];
      }
    }
#end
  }
}
