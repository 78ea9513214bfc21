// Attention over segment trees, backward with respect to keys and values, by four threads that swap values in registers:
// for adapters where loads are dear, arithmetic is not, and a workgroup of four is one subgroup (SwiftShader).
//
// Formulas and order of sums as backward-kv.wgsl, work list as keys.wgsl. Grid: (key tiles * TILE_PARTS, KV heads). A
// workgroup is four threads, two by two: they own 4 KEY_PAIRS keys and take them through the query rows that see them, 4 ROW_PAIRS virtual
// rows at a time. First a thread makes the scores of half of the rows with half of the keys: of each pair of rows, and of
// keys, two neighbours load one each and swap. Then it adds, for its half of the keys and half of the head, what all the
// rows give: the other rows' probabilities are its neighbour's.
// Memory: k and v once for each step of rows (from the cache), dk and dv once; q and do twice for each 4 KEY_PAIRS keys.
// ROW_PAIRS + KEY_PAIRS loads of each kind for 16 ROW_PAIRS KEY_PAIRS multiply-adds. Registers: 2 KEY_PAIRS * D.
// Limits: D a multiple of 8. Constants: as keys.wgsl, and ROW_PAIRS, KEY_PAIRS, TILE_PARTS (workgroups of a key tile).

const HALF: u32 = C / 2u;
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
    let end = run.y * GROUP;
    for (var vr = first_row(run, keys.z + first); vr < end; vr += ROWS) {
#for i in ROW_PAIRS
      // Own row of a pair, in this thread's half of the rows and in the other half.
      let vr$i_0 = vr + y * (2u * ROW_PAIRS) + 2u * $iu + x;
      let vr$i_1 = vr + y * (2u * ROW_PAIRS) + 2u * $iu + 1u - x;
      let vr$i_2 = vr + (1u - y) * (2u * ROW_PAIRS) + 2u * $iu + x;
      let own$i = min(vr$i_0, end - 1u);
      let far$i = min(vr$i_2, end - 1u);
      let at$i_0 = row_at(run, own$i, kv_head);
      let far_at$i = row_at(run, far$i, kv_head);
#end
#use scores
#for i in ROW_PAIRS
      let stat$i_0 = stats[at$i_0];
      let stat$i_1 = quadSwapX(stat$i_0);
      let seen$i_0 = places_seen(run, vr$i_0);
      let seen$i_1 = places_seen(run, vr$i_1);
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
        let g$i_0 = V4(d_o[at$i_0 * C + half + c]);
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
        let r$i_0 = V4(q[at$i_0 * C + half + c]);
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
