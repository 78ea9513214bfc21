// Attention over segment trees, backward with respect to keys and values: no workgroup memory, no barriers, no atomics.
//
// Formulas as backward-q.wgsl, work list as keys.wgsl; dk = sum over the rows that see the key of ds q, dv the same of p do.
// Grid: (key tiles, KV heads). A tile is up to 32 keys of one segment. A thread owns R keys and takes them through
// every query row that sees them, in the plan's order: the rows of the own segment and of all its descendants. So the
// gradient of a shared prefix is summed over all its children by one thread, always in the same order (same bits).
// Memory: k, v, dk, dv once; q and do once per thread (neighbouring threads read the same addresses at the same
// time), twice for R > 1 from the cache. Registers: 2 * R * D.
// Limits: D a multiple of 8. Constants: as keys.wgsl, and R, B (virtual rows at a time), WG.

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let keys = work[2u * (params.first_tile + group.x)];
  let runs = work[2u * (params.first_tile + group.x) + 1u];
  let kv_head = group.y;
  let head = head_end();
  for (var first = thread * R; first < keys.y; first += WG * R) {
#for r in R
    // Keys past the end repeat the last one and are not written.
    let key$r = min(first + $ru, keys.y - 1u);
    let kv$r = ((keys.x + key$r) * KV_HEADS + kv_head) * C;
#end
    var acc_k: array<V4, R * C>;
    var acc_v: array<V4, R * C>;
    // Set by hand: one compiler zeroes a loop's variables only before its first turn.
    for (var c = 0u; c < R * C; c++) {
      acc_k[c] = V4(0.0);
      acc_v[c] = V4(0.0);
    }
    for (var part = runs.x; part < runs.x + runs.y; part++) {
      let run = work[2u * params.tiles + part];
      let end = run.y * GROUP;
      for (var vr = first_row(run, keys.z + first); vr < end; vr += B) {
#for b in B
        let at$b = row_at(run, min(vr + $bu, end - 1u), kv_head);
        let seen$b = places_seen(run, vr + $bu);
        let stat$b = stats[at$b];
#for r in R
        var s$r_$b = 0.0;
        var dp$r_$b = 0.0;
#end
#end
        for (var c = 0u; c < head; c++) {
#for r in R
          let k$r = V4(k[kv$r + c]);
          let v$r = V4(v[kv$r + c]);
#end
#for b in B
          let q$b = V4(q[at$b * C + c]);
          let do$b = V4(d_o[at$b * C + c]);
#for r in R
          s$r_$b += dot(q$b, k$r);
          dp$r_$b += dot(do$b, v$r);
#end
#end
        }
#for b in B
#for r in R
        let see$r_$b = keys.z + key$r < seen$b;
        let p$r_$b = select(0.0, exp(s$r_$b * params.scale - stat$b.x - stat$b.y), see$r_$b);
        let ds$r_$b = select(0.0, params.scale * p$r_$b * (dp$r_$b - stat$b.z), see$r_$b);
#end
#end
        for (var c = 0u; c < head; c++) {
#for b in B
          let again_q$b = V4(q[at$b * C + c]);
          let again_do$b = V4(d_o[at$b * C + c]);
#end
#for r in R
          acc_k[$ru * C + c] += V4(0.0)
#for b in B
            + ds$r_$b * again_q$b
#end
            ;
          acc_v[$ru * C + c] += V4(0.0)
#for b in B
            + p$r_$b * again_do$b
#end
            ;
#end
        }
      }
    }
#for r in R
    if (first + $ru < keys.y) {
      for (var c = 0u; c < head; c++) {
        dk[kv$r + c] = K4(acc_k[$ru * C + c]);
        dv[kv$r + c] = K4(acc_v[$ru * C + c]);
      }
    }
#end
  }
}
