// Attention over segment trees, forward, for GPUs: tiles of virtual rows against tiles of keys in workgroup memory.
//
// Grid: (units, KV heads), ROWS / 4 * LANES threads. K and V are read once for ROWS virtual rows: a decode step's
// shared prefix once for all its children and all query heads of the KV head. Units of more virtual rows go through
// their keys again for each ROWS of them.
// A thread makes 4 x BK scores; then it owns 4 rows and every LANES-th vec4 of the output, in registers.
// What the lanes of 4 rows tell each other (maxima, weights, sums) goes through workgroup memory (BARRIER), or where a
// subgroup surely holds LANES threads by shuffles (SUBGROUP): no weights in memory, and larger tiles fit.
// Workgroup memory: KEYS * (C + 1) vectors of the storage's type (K, then V in its place; one more a key keeps
// neighbouring threads on different banks); with BARRIER also ROWS * KEYS floats of weights and ROWS * LANES of maxima.
// 4 barriers a tile. Results as forward.wgsl. Limits: ROWS a multiple of 4. Constants: as units.wgsl, and ROWS, LANES (a
// power of 2; with SUBGROUP not above the smallest subgroup), BK (keys a thread), CPT = ceil(C / LANES); of BARRIER and
// SUBGROUP one is 1, one 0.

@group(0) @binding(2) var<storage, read> q: array<Q4>;              // [rows, Hq, D]
@group(0) @binding(3) var<storage, read> k: array<K4>;              // [T, Hkv, D]
@group(0) @binding(4) var<storage, read> v: array<K4>;              // [T, Hkv, D]
@group(0) @binding(5) var<storage, read_write> o: array<Q4>;        // [rows, Hq, D]
@group(0) @binding(6) var<storage, read_write> stats: array<V4>;    // [rows, Hq]: max, ln sum, 0, 0; or shorter where not wanted
@group(0) @binding(7) var<storage, read_write> part_o: array<V4>;   // [partials, Hq, D]
@group(0) @binding(8) var<storage, read_write> part_stats: array<vec2<f32>>; // [partials, Hq]: max, sum

const KEYS: u32 = LANES * BK;
const QUADS: u32 = ROWS / 4u;
const THREADS: u32 = LANES * QUADS;
const STRIDE: u32 = C + 1u;

var<workgroup> tile: array<K4, KEYS * STRIDE>;
#for m in BARRIER
var<workgroup> weights: array<V4, KEYS * QUADS>; // [key, rows / 4]
var<workgroup> lane_values: array<V4, THREADS>;  // [rows / 4, lane]
#end

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
#for s in SUBGROUP
  @builtin(subgroup_invocation_id) place: u32,
#end
) {
  let unit = work[params.first_unit + group.x];
  let kv_head = group.y;
  let virtual_rows = unit.y * GROUP;
  let lane = thread % LANES;
  let quad = thread / LANES;
  for (var tile_row = 0u; tile_row < virtual_rows; tile_row += ROWS) {
    let first = tile_row + 4u * quad;
#for r in 4
    // Rows past the end repeat the last one and are not written.
    let vr$r = min(first + $ru, virtual_rows - 1u);
    let member$r = work[params.members + unit.x + vr$r / GROUP];
    let at$r = member$r.x * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
#for j in CPT
    var acc$r_$j = V4(0.0);
#end
#end
    var top = V4(LOWEST);
    var sum = V4(0.0);
    for (var part = 0u; part < unit.w; part++) {
      let range = work[params.ranges + unit.z + part];
      let limits = U4(seen(range, member0), seen(range, member1), seen(range, member2), seen(range, member3));
      for (var key = 0u; key < range.y; key += KEYS) {
        for (var i = thread; i < KEYS * C; i += THREADS) {
          let row = range.x + min(key + i / C, range.y - 1u);
          tile[i / C * STRIDE + i % C] = k[(row * KV_HEADS + kv_head) * C + i % C];
        }
        workgroupBarrier();
#for b in BK
        var s$b = V4(0.0);
#end
        for (var c = 0u; c < C; c++) {
#for r in 4
          let q$r = V4(q[at$r * C + c]);
#end
#for b in BK
          let k$b = V4(tile[(lane + $bu * LANES) * STRIDE + c]);
          s$b += V4(dot(q0, k$b), dot(q1, k$b), dot(q2, k$b), dot(q3, k$b));
#end
        }
        var most = V4(LOWEST);
#for b in BK
        let see$b = U4(key + lane + $bu * LANES) < limits;
        s$b = select(V4(LOWEST), s$b * params.scale, see$b);
        most = max(most, s$b);
#end
#for m in BARRIER
        lane_values[thread] = most;
#end
        workgroupBarrier();
        // K is used up, and every lane's maximum is there.
        for (var i = thread; i < KEYS * C; i += THREADS) {
          let row = range.x + min(key + i / C, range.y - 1u);
          tile[i / C * STRIDE + i % C] = v[(row * KV_HEADS + kv_head) * C + i % C];
        }
        let old = top;
#for m in BARRIER
        for (var l = 0u; l < LANES; l++) {
          top = max(top, lane_values[quad * LANES + l]);
        }
#end
#for s in SUBGROUP
        for (var step = LANES / 2u; step > 0u; step /= 2u) {
          most = max(most, subgroupShuffleXor(most, step));
        }
        top = max(top, most);
#end
        let keep = exp(old - top);
        sum *= keep;
#for b in BK
        let p$b = select(V4(0.0), exp(s$b - top), see$b);
        sum += p$b;
#for m in BARRIER
        weights[(lane + $bu * LANES) * QUADS + quad] = p$b;
#end
#end
#for r in 4
#for j in CPT
        acc$r_$j *= keep[$r];
#end
#end
        workgroupBarrier();
#for m in BARRIER
        for (var n = 0u; n < KEYS; n++) {
          let weight = weights[n * QUADS + quad];
#for j in CPT
          let v$j = V4(tile[n * STRIDE + min(lane + $ju * LANES, C - 1u)]);
#for r in 4
          acc$r_$j += weight[$r] * v$j;
#end
#end
        }
#end
#for s in SUBGROUP
        for (var l = 0u; l < LANES; l++) {
#for b in BK
          let weight$b = subgroupShuffle(p$b, place - lane + l);
#for j in CPT
          let v$b_$j = V4(tile[(l + $bu * LANES) * STRIDE + min(lane + $ju * LANES, C - 1u)]);
#for r in 4
          acc$r_$j += weight$b[$r] * v$b_$j;
#end
#end
#end
        }
#end
        workgroupBarrier();
      }
    }
#for m in BARRIER
    lane_values[thread] = sum;
    workgroupBarrier();
    var total = V4(0.0);
    for (var l = 0u; l < LANES; l++) {
      total += lane_values[quad * LANES + l];
    }
    workgroupBarrier();
#end
#for s in SUBGROUP
    var total = sum;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
      total += subgroupShuffleXor(total, step);
    }
#end
#for r in 4
    if (first + $ru < virtual_rows) {
      let head$r = kv_head * GROUP + vr$r % GROUP;
      if (member$r.z == NONE) {
#for j in CPT
        if (lane + $ju * LANES < C) {
          o[at$r * C + lane + $ju * LANES] = Q4(acc$r_$j / total[$r]);
        }
#end
        if (lane == 0u && at$r < arrayLength(&stats)) {
          stats[at$r] = V4(top[$r], log(total[$r]), 0.0, 0.0);
        }
      } else {
        let to$r = member$r.z * Q_HEADS + head$r;
#for j in CPT
        if (lane + $ju * LANES < C) {
          part_o[to$r * C + lane + $ju * LANES] = acc$r_$j;
        }
#end
        if (lane == 0u) {
          part_stats[to$r] = vec2<f32>(top[$r], total[$r]);
        }
      }
    }
#end
  }
}
