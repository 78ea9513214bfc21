// Attention over segment trees, backward with respect to the queries, by four threads that swap values in registers:
// for adapters where loads are dear, arithmetic is not, and a workgroup of four is one subgroup (SwiftShader).
//
// Formulas and units as backward-q.wgsl. Grid: units * parts * KV_HEADS workgroups, folded into x and y. A workgroup is
// four threads, two by two: they take 4 ROW_PAIRS virtual rows of a unit through all its keys, 4 KEY_PAIRS at a time.
// First a thread makes the scores of half of the rows with half of the keys: of each pair of rows, and of keys, two
// neighbours load one each and swap. Then it adds, for its half of the rows and half of the head, what all the keys give.
// Memory: q and do once for each step of keys (from the cache), dq once; K twice and V once for each 4 ROW_PAIRS rows.
// Registers: ROW_PAIRS * D. Limits as forward.wgsl. Constants: as units.wgsl, and ROW_PAIRS, KEY_PAIRS.

const HALF: u32 = C / 2u;
const ROWS: u32 = 4u * ROW_PAIRS;
const KEYS: u32 = 4u * KEY_PAIRS;

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) thread: u32,
) {
  let quad = group.y * groups.x + group.x;
  let kv_head = quad / params.units / params.parts;
  if (kv_head >= KV_HEADS) {
    return;
  }
  let unit = work[params.first_unit + quad % params.units];
  let virtual_rows = unit.y * GROUP;
  let first = quad / params.units % params.parts * ROWS;
  if (first >= virtual_rows) {
    return;
  }
  // Neighbours in x share rows and load one of each pair; neighbours in y share keys.
  let x = thread & 1u;
  let y = (thread >> 1u) & 1u;
#for i in ROW_PAIRS
  // Own and other row of a pair. Rows past the end repeat the last one and are not written.
  let vr$i_0 = first + y * (2u * ROW_PAIRS) + 2u * $iu + x;
  let vr$i_1 = first + y * (2u * ROW_PAIRS) + 2u * $iu + 1u - x;
  let member$i_0 = work[params.members + unit.x + min(vr$i_0, virtual_rows - 1u) / GROUP];
  let member$i_1 = work[params.members + unit.x + min(vr$i_1, virtual_rows - 1u) / GROUP];
  let at$i_0 = member$i_0.x * Q_HEADS + kv_head * GROUP + min(vr$i_0, virtual_rows - 1u) % GROUP;
  let at$i_1 = member$i_1.x * Q_HEADS + kv_head * GROUP + min(vr$i_1, virtual_rows - 1u) % GROUP;
  let stat$i_0 = stats[at$i_0];
  let stat$i_1 = stats[at$i_1];
  let max$i = V4(stat$i_0.xx, stat$i_1.xx);
  let ln$i = V4(stat$i_0.yy, stat$i_1.yy);
  let delta$i = V4(stat$i_0.zz, stat$i_1.zz);
#end
  let last = work[params.members + unit.x + (min(first + ROWS, virtual_rows) - 1u) / GROUP];
  // Half of the head, of own and other row of each pair.
  var acc: array<V4, ROW_PAIRS * C>;
  for (var c = 0u; c < ROW_PAIRS * C; c++) {
    acc[c] = V4(0.0);
  }
  let half = x * HALF;
  for (var part = 0u; part < unit.w; part++) {
    let range = work[params.ranges + unit.z + part];
#for i in ROW_PAIRS
    let limit$i_0 = seen(range, member$i_0);
    let limit$i_1 = seen(range, member$i_1);
#end
    // The rows of a unit ascend in their segment, so the last one sees most.
    let most = seen(range, last);
    for (var key = 0u; key < most; key += KEYS) {
#for j in KEY_PAIRS
      // Own and other key of a pair, in this thread's half of the keys; own in the other half.
      let key$j_0 = key + x * (2u * KEY_PAIRS) + 2u * $ju + y;
      let key$j_1 = key + x * (2u * KEY_PAIRS) + 2u * $ju + 1u - y;
      let key$j_2 = key + (1u - x) * (2u * KEY_PAIRS) + 2u * $ju + y;
      let kv$j = ((range.x + min(key$j_0, range.y - 1u)) * KV_HEADS + kv_head) * C;
      let far_kv$j = ((range.x + min(key$j_2, range.y - 1u)) * KV_HEADS + kv_head) * C;
#end
#use scores
#for i in ROW_PAIRS
#for j in KEY_PAIRS
      let see$i_$j = vec4<bool>(
        key$j_0 < limit$i_0, key$j_1 < limit$i_0, key$j_0 < limit$i_1, key$j_1 < limit$i_1);
      let p$i_$j = exp(s$i_$j * params.scale - max$i - ln$i);
      let ds$i_$j = select(V4(0.0), params.scale * p$i_$j * (dp$i_$j - delta$i), see$i_$j);
      // These rows with the other half's keys; what is the neighbour's own row is the other one here.
      let far_ds$i_$j = quadSwapX(ds$i_$j).zwxy;
#end
#end
      for (var c = 0u; c < HALF; c++) {
#for j in KEY_PAIRS
        let g$j_0 = V4(k[kv$j + half + c]);
        let g$j_1 = quadSwapY(g$j_0);
        let g$j_2 = V4(k[far_kv$j + half + c]);
        let g$j_3 = quadSwapY(g$j_2);
#end
#for i in ROW_PAIRS
        acc[2u * $iu * HALF + c] += V4(0.0)
#for j in KEY_PAIRS
          + ds$i_$j.x * g$j_0 + ds$i_$j.y * g$j_1 + far_ds$i_$j.x * g$j_2 + far_ds$i_$j.y * g$j_3
#end
          ;
        acc[(2u * $iu + 1u) * HALF + c] += V4(0.0)
#for j in KEY_PAIRS
          + ds$i_$j.z * g$j_0 + ds$i_$j.w * g$j_1 + far_ds$i_$j.z * g$j_2 + far_ds$i_$j.w * g$j_3
#end
          ;
#end
      }
    }
  }
#for i in ROW_PAIRS
#for a in 2
  if (vr$i_$a < virtual_rows) {
    for (var c = 0u; c < HALF; c++) {
      let to = at$i_$a * C + half + c;
      let before = select(V4(0.0), V4(dq[to]), member$i_$a.w == 1u);
      dq[to] = Q4(before + acc[(2u * $iu + $au) * HALF + c]);
    }
  }
#end
#end
}
