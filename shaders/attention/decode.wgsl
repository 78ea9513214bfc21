// Attention over segment trees for few query rows (a decode step): the keys are split over the threads.
//
// Grid: (tiles, KV heads). The query heads of a KV head are packed with the tile's rows into "virtual rows", R at a
// time. Thread t takes keys t, t + W, .. of every visible range with its own online softmax; the W results are
// joined through workgroup memory at the end (1 + 2 R barriers for R virtual rows).
// Memory: K and V once for R virtual rows; q is read from the cache. Workgroup memory: 16 * W * D / 4 + 8 * W * R bytes.
// Limits and results as forward.wgsl. Constants: D, R, W (a power of two), Q_HEADS, KV_HEADS, loop count R.

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
@group(0) @binding(6) var<storage, read_write> o: array<V4>;       // [rows, Hq, D]
@group(0) @binding(7) var<storage, read_write> stats: array<V4>;   // [rows, Hq]: max, ln sum, 0, 0; or shorter where not wanted

const C: u32 = D / 4u;
const GROUP: u32 = Q_HEADS / KV_HEADS;
const LOWEST: f32 = -3.0e38;

var<workgroup> maxima: array<f32, R * W>;
var<workgroup> sums: array<f32, R * W>;
var<workgroup> parts: array<V4, W * C>;

@compute @workgroup_size(W)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tile = tiles[group.x];
  let kv_head = group.y;
  let virtual_rows = tile.count * GROUP;
  for (var first = 0u; first < virtual_rows; first += R) {
#for r in R
    // Rows past the end repeat the last one and are not written.
    let vr$r = min(first + $ru, virtual_rows - 1u);
    let row$r = vr$r / GROUP;
    let at$r = (tile.row + row$r) * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
    let own$r = select(tile.length, min(tile.offset + row$r + 1u, tile.length), tile.causal == 1u);
    var max$r = LOWEST;
    var sum$r = 0.0;
#end
    var most = 0u;
#for r in R
    most = max(most, own$r);
#end
    var acc: array<V4, R * C>;
    for (var part = 0u; part <= tile.range_count; part++) {
      let is_own = part == tile.range_count;
      var range = vec2<u32>(tile.start, most);
      if (!is_own) {
        range = ranges[tile.range_first + part];
      }
      for (var key = thread; key < range.y; key += W) {
        let kv = ((range.x + key) * KV_HEADS + kv_head) * C;
#for r in R
        var s$r = 0.0;
#end
        for (var c = 0u; c < C; c++) {
          let x = k[kv + c];
#for r in R
          s$r += dot(q[at$r * C + c], x);
#end
        }
#for r in R
        let see$r = !is_own || key < own$r;
        s$r = select(LOWEST, s$r * params.scale, see$r);
        let top$r = max(max$r, s$r);
        let keep$r = exp(max$r - top$r);
        let p$r = select(0.0, exp(s$r - top$r), see$r);
        max$r = top$r;
        sum$r = sum$r * keep$r + p$r;
#end
        for (var c = 0u; c < C; c++) {
          let x = v[kv + c];
#for r in R
          acc[$ru * C + c] = acc[$ru * C + c] * keep$r + p$r * x;
#end
        }
      }
    }
#for r in R
    maxima[$ru * W + thread] = max$r;
    sums[$ru * W + thread] = sum$r;
#end
    workgroupBarrier();
#for r in R
    {
      // Every thread adds up in the same order: the same bits everywhere. A thread without keys has sum 0.
      var top = LOWEST;
      for (var t = 0u; t < W; t++) {
        top = max(top, maxima[$ru * W + t]);
      }
      var total = 0.0;
      for (var t = 0u; t < W; t++) {
        total += sums[$ru * W + t] * exp(maxima[$ru * W + t] - top);
      }
      let weight = exp(max$r - top) / total;
      for (var c = 0u; c < C; c++) {
        parts[thread * C + c] = acc[$ru * C + c] * weight;
      }
      workgroupBarrier();
      if (first + $ru < virtual_rows) {
        for (var c = thread; c < C; c += W) {
          var value = V4(0.0);
          for (var t = 0u; t < W; t++) {
            value += parts[t * C + c];
          }
          o[at$r * C + c] = value;
        }
        if (thread == 0u && at$r < arrayLength(&stats)) {
          stats[at$r] = V4(top, log(total), 0.0, 0.0);
        }
      }
      workgroupBarrier();
    }
#end
  }
}
