// Attention over segment trees, backward with respect to keys and values, by four threads that swap values in registers:
// for adapters where loads are dear, arithmetic is not, and a workgroup of four is one subgroup (SwiftShader).
//
// Formulas, work list and order of sums as backward-kv.wgsl. Grid: (key tiles * TILE_PARTS, KV heads). A workgroup is four
// threads, two by two: they own 4 KEY_PAIRS keys and take them through the query rows that see them, 4 ROW_PAIRS virtual
// rows at a time. First a thread makes the scores of half of the rows with half of the keys: of each pair of rows, and of
// keys, two neighbours load one each and swap. Then it adds, for its half of the keys and half of the head, what all the
// rows give: the other rows' probabilities are its neighbour's.
// Memory: k and v once for each step of rows (from the cache), dk and dv once; q and do twice for each 4 KEY_PAIRS keys.
// ROW_PAIRS + KEY_PAIRS loads of each kind for 16 ROW_PAIRS KEY_PAIRS multiply-adds. Registers: 2 KEY_PAIRS * D.
// Limits: D a multiple of 8. Constants: D, ROW_PAIRS, KEY_PAIRS, Q_HEADS, KV_HEADS, TILE_PARTS (workgroups of a key tile);
// element types Q4 and K4.

alias V4 = vec4<f32>;
alias U4 = vec4<u32>;

struct Params {
  scale: f32,
  tiles: u32,      // all key tiles, two U4 each; the runs follow them
  first_tile: u32, // of this dispatch
}

@group(0) @binding(0) var<uniform> params: Params;
// Tiles and runs as in backward-kv.wgsl.
@group(0) @binding(1) var<storage, read> work: array<U4>;
@group(0) @binding(2) var<storage, read> q: array<Q4>;        // [rows, Hq, D]
@group(0) @binding(3) var<storage, read> k: array<K4>;        // [T, Hkv, D]
@group(0) @binding(4) var<storage, read> v: array<K4>;        // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> d_o: array<Q4>;      // [rows, Hq, D]
@group(0) @binding(6) var<storage, read> stats: array<V4>;    // [rows, Hq]: max, ln sum, delta, 0
@group(0) @binding(7) var<storage, read_write> dk: array<K4>; // [T, Hkv, D]
@group(0) @binding(8) var<storage, read_write> dv: array<K4>; // [T, Hkv, D]

const C: u32 = D / 4u;
const HALF: u32 = C / 2u;
const GROUP: u32 = Q_HEADS / KV_HEADS;
const ROWS: u32 = 4u * ROW_PAIRS;
const KEYS: u32 = 4u * KEY_PAIRS;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) thread: u32) {
  let tile = params.first_tile + group.x / TILE_PARTS;
  let keys = work[2u * tile];
  let runs = work[2u * tile + 1u];
  let kv_head = group.y;
  let first = group.x % TILE_PARTS * KEYS;
  if (first >= keys.y) {
    return;
  }
  // Neighbours in x share rows and load one of each pair; neighbours in y share keys.
  let x = thread & 1u;
  let y = (thread >> 1u) & 1u;
#for j in KEY_PAIRS
  // Own and other key of a pair. Keys past the end repeat the last one and are not written.
  let key$j_0 = first + x * (2u * KEY_PAIRS) + 2u * $ju + y;
  let key$j_1 = first + x * (2u * KEY_PAIRS) + 2u * $ju + 1u - y;
  let kv$j = ((keys.x + min(key$j_0, keys.y - 1u)) * KV_HEADS + kv_head) * C;
  let place$j_0 = keys.z + min(key$j_0, keys.y - 1u);
  let place$j_1 = keys.z + min(key$j_1, keys.y - 1u);
#end
  // Half of the head, of own and other key of each pair.
  var acc_k: array<V4, KEY_PAIRS * C>;
  var acc_v: array<V4, KEY_PAIRS * C>;
  for (var c = 0u; c < KEY_PAIRS * C; c++) {
    acc_k[c] = V4(0.0);
    acc_v[c] = V4(0.0);
  }
  let half = y * HALF;
  for (var part = runs.x; part < runs.x + runs.y; part++) {
    let run = work[2u * params.tiles + part];
    // Rows before the first key do not see it.
    let before = select(0u, max(keys.z + first, run.z) - run.z, run.w == 1u);
    let end = run.y * GROUP;
    for (var vr = before * GROUP; vr < end; vr += ROWS) {
#for i in ROW_PAIRS
      // Own row of a pair, in this thread's half of the rows and in the other half.
      let vr$i_0 = vr + y * (2u * ROW_PAIRS) + 2u * $iu + x;
      let vr$i_1 = vr + y * (2u * ROW_PAIRS) + 2u * $iu + 1u - x;
      let vr$i_2 = vr + (1u - y) * (2u * ROW_PAIRS) + 2u * $iu + x;
      let own$i = min(vr$i_0, end - 1u);
      let far$i = min(vr$i_2, end - 1u);
      let at$i = (run.x + own$i / GROUP) * Q_HEADS + kv_head * GROUP + own$i % GROUP;
      let far_at$i = (run.x + far$i / GROUP) * Q_HEADS + kv_head * GROUP + far$i % GROUP;
#for j in KEY_PAIRS
      var s$i_$j = V4(0.0);  // own row with own and other key, other row with own and other key
      var dp$i_$j = V4(0.0);
#end
#end
      for (var c = 0u; c < C; c++) {
#for j in KEY_PAIRS
        let k$j_0 = V4(k[kv$j + c]);
        let k$j_1 = quadSwapY(k$j_0);
        let v$j_0 = V4(v[kv$j + c]);
        let v$j_1 = quadSwapY(v$j_0);
#end
#for i in ROW_PAIRS
        let q$i_0 = V4(q[at$i * C + c]);
        let q$i_1 = quadSwapX(q$i_0);
        let do$i_0 = V4(d_o[at$i * C + c]);
        let do$i_1 = quadSwapX(do$i_0);
#for j in KEY_PAIRS
        s$i_$j += V4(dot(q$i_0, k$j_0), dot(q$i_0, k$j_1), dot(q$i_1, k$j_0), dot(q$i_1, k$j_1));
        dp$i_$j += V4(dot(do$i_0, v$j_0), dot(do$i_0, v$j_1), dot(do$i_1, v$j_0), dot(do$i_1, v$j_1));
#end
#end
      }
#for i in ROW_PAIRS
      let stat$i_0 = stats[at$i];
      let stat$i_1 = quadSwapX(stat$i_0);
      // Places of own segment that the rows see, from 1; none for a row past the end.
      let seen$i_0 = select(0u, select(0xffffffffu, run.z + vr$i_0 / GROUP + 1u, run.w == 1u), vr$i_0 < end);
      let seen$i_1 = select(0u, select(0xffffffffu, run.z + vr$i_1 / GROUP + 1u, run.w == 1u), vr$i_1 < end);
#for j in KEY_PAIRS
      let see$i_$j = vec4<bool>(
        place$j_0 < seen$i_0, place$j_1 < seen$i_0, place$j_0 < seen$i_1, place$j_1 < seen$i_1);
      let max$i_$j = V4(stat$i_0.xx, stat$i_1.xx);
      let ln$i_$j = V4(stat$i_0.yy, stat$i_1.yy);
      let delta$i_$j = V4(stat$i_0.zz, stat$i_1.zz);
      let p$i_$j = select(V4(0.0), exp(s$i_$j * params.scale - max$i_$j - ln$i_$j), see$i_$j);
      let ds$i_$j = select(V4(0.0), params.scale * p$i_$j * (dp$i_$j - delta$i_$j), see$i_$j);
      // The other half's rows with these keys; what is the neighbour's own key is the other one here.
      let far_p$i_$j = quadSwapY(p$i_$j).yxwz;
      let far_ds$i_$j = quadSwapY(ds$i_$j).yxwz;
#end
#end
      for (var c = 0u; c < HALF; c++) {
#for i in ROW_PAIRS
        let g$i_0 = V4(d_o[at$i * C + half + c]);
        let g$i_1 = quadSwapX(g$i_0);
        let g$i_2 = V4(d_o[far_at$i * C + half + c]);
        let g$i_3 = quadSwapX(g$i_2);
#end
#for j in KEY_PAIRS
        acc_v[2u * $ju * HALF + c] += V4(0.0)
#for i in ROW_PAIRS
          + p$i_$j.x * g$i_0 + p$i_$j.z * g$i_1 + far_p$i_$j.x * g$i_2 + far_p$i_$j.z * g$i_3
#end
          ;
        acc_v[(2u * $ju + 1u) * HALF + c] += V4(0.0)
#for i in ROW_PAIRS
          + p$i_$j.y * g$i_0 + p$i_$j.w * g$i_1 + far_p$i_$j.y * g$i_2 + far_p$i_$j.w * g$i_3
#end
          ;
#end
#for i in ROW_PAIRS
        let r$i_0 = V4(q[at$i * C + half + c]);
        let r$i_1 = quadSwapX(r$i_0);
        let r$i_2 = V4(q[far_at$i * C + half + c]);
        let r$i_3 = quadSwapX(r$i_2);
#end
#for j in KEY_PAIRS
        acc_k[2u * $ju * HALF + c] += V4(0.0)
#for i in ROW_PAIRS
          + ds$i_$j.x * r$i_0 + ds$i_$j.z * r$i_1 + far_ds$i_$j.x * r$i_2 + far_ds$i_$j.z * r$i_3
#end
          ;
        acc_k[(2u * $ju + 1u) * HALF + c] += V4(0.0)
#for i in ROW_PAIRS
          + ds$i_$j.y * r$i_0 + ds$i_$j.w * r$i_1 + far_ds$i_$j.y * r$i_2 + far_ds$i_$j.w * r$i_3
#end
          ;
#end
      }
    }
  }
#for j in KEY_PAIRS
  if (key$j_0 < keys.y) {
    let to = ((keys.x + key$j_0) * KV_HEADS + kv_head) * C + half;
    for (var c = 0u; c < HALF; c++) {
      dk[to + c] = K4(acc_k[2u * $ju * HALF + c]);
      dv[to + c] = K4(acc_v[2u * $ju * HALF + c]);
    }
  }
  if (key$j_1 < keys.y) {
    let to = ((keys.x + key$j_1) * KV_HEADS + kv_head) * C + half;
    for (var c = 0u; c < HALF; c++) {
      dk[to + c] = K4(acc_k[(2u * $ju + 1u) * HALF + c]);
      dv[to + c] = K4(acc_v[(2u * $ju + 1u) * HALF + c]);
    }
  }
#end
}
