// Attention over segment trees, forward: online softmax, no workgroup memory, no barriers.
//
// Grid: (tiles, KV heads). A tile is up to 32 query rows of one segment. The query heads of a KV head are packed
// with the rows into "virtual rows" (row * GROUP + head), and a thread takes R of them through all visible keys,
// B keys at a time: each K and V element it loads serves R * 4 multiply-adds or more.
// Memory: q and o once, K and V once per thread (neighbouring threads read the same addresses at the same time,
// so all but the first hit the cache). Registers: R * D for the output, so R is small where D is large.
// Limits: D a multiple of 8; every row sees at least one key. Constants: D, R, B, U (how far
// the loop over the head is unrolled), Q_HEADS, KV_HEADS, WG. `#for` lines are unrolled by src/gpu/expand-wgsl.ts.

alias V4 = vec4<f32>;

struct Params {
  scale: f32,
}

struct Tile {
  row: u32,         // first query row
  count: u32,       // query rows
  range_first: u32, // ancestors in `ranges`
  range_count: u32,
  start: u32,       // own segment: first KV row,
  length: u32,      // rows in use,
  offset: u32,      // place of the first query row in it
  causal: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<Tile>;
@group(0) @binding(2) var<storage, read> ranges: array<vec2<u32>>; // first KV row, rows
@group(0) @binding(3) var<storage, read> q: array<V4>;             // [rows, Hq, D]
@group(0) @binding(4) var<storage, read> k: array<V4>;             // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> v: array<V4>;             // [T, Hkv, D]
@group(0) @binding(6) var<storage, read_write> o: array<V4>;       // [rows, Hq, D]
@group(0) @binding(7) var<storage, read_write> stats: array<V4>;   // [rows, Hq]: max, ln sum, 0, 0; or shorter where not wanted

const C: u32 = D / 4u;
const GROUP: u32 = Q_HEADS / KV_HEADS;
const LOWEST: f32 = -3.0e38;

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
    let q_at$r = at$r * C;
    let own$r = select(tile.length, min(tile.offset + row$r + 1u, tile.length), tile.causal == 1u);
    var max$r = LOWEST;
    var sum$r = 0.0;
#end
    var acc: array<V4, R * C>;
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
#end
#end
        for (var c = 0u; c < C; c++) {
#for r in R
          let q$r = q[q_at$r + c];
#end
#for b in B
          let k$b = k[kv$b + c];
#for r in R
          s$r_$b += dot(q$r, k$b);
#end
#end
        }
#for r in R
        let old$r = max$r;
#for b in B
        let see$r_$b = key + $bu < limit$r;
        s$r_$b = select(LOWEST, s$r_$b * params.scale, see$r_$b);
        max$r = max(max$r, s$r_$b);
#end
        let keep$r = exp(old$r - max$r);
        sum$r *= keep$r;
#for b in B
        let p$r_$b = select(0.0, exp(s$r_$b - max$r), see$r_$b);
        sum$r += p$r_$b;
#end
#end
        for (var c = 0u; c < C; c += U) {
#for u in U
#for b in B
          let v$b_$u = v[kv$b + c + $uu];
#end
#for r in R
          acc[$ru * C + c + $uu] = acc[$ru * C + c + $uu] * keep$r
#for b in B
            + p$r_$b * v$b_$u
#end
            ;
#end
#end
        }
      }
    }
#for r in R
    if (first + $ru < virtual_rows) {
      let scale$r = 1.0 / sum$r;
      for (var c = 0u; c < C; c++) {
        o[q_at$r + c] = acc[$ru * C + c] * scale$r;
      }
      if (at$r < arrayLength(&stats)) {
        stats[at$r] = V4(max$r, log(sum$r), 0.0, 0.0);
      }
    }
#end
  }
}
