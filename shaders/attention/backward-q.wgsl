// Attention over segment trees, backward with respect to the queries: no workgroup memory, no barriers.
//
// p = exp(scale q.k - max - ln sum), dp = do.v, ds = scale p (dp - delta), dq = sum over keys of ds k
// (FlashAttention-2, arXiv 2307.08691, section 3.1). max and ln sum are kept apart, so p stays right at scores of 1e4.
// Grid and packing as forward.wgsl: a thread takes R virtual rows of a unit through all its keys, B at a time. All keys
// of a row are in one unit; where the KV storage has windows, each but a row's first adds to what is there.
// Memory: q, do, stats and dq once, K and V once per thread, K twice (the second time from the cache).
// Registers: R * D. Limits as forward.wgsl. Constants: as units.wgsl, and R, B, WG.

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * WG + id.x;
  let kv_head = thread / params.units / params.parts;
  if (kv_head >= KV_HEADS) {
    return;
  }
  let unit = work[params.first_unit + thread % params.units];
  let virtual_rows = unit.y * GROUP;
  let first = thread / params.units % params.parts * R;
  if (first >= virtual_rows) {
    return;
  }
#for r in R
  // Rows past the end repeat the last one and are not written.
  let vr$r = min(first + $ru, virtual_rows - 1u);
  let member$r = work[params.members + unit.x + vr$r / GROUP];
  let at$r = member$r.x * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
  let stat$r = stats[at$r];
#end
  let end = head_end();
  var acc: array<V4, R * C>;
  // Set by hand: one compiler leaves what an earlier turn of a loop had.
  for (var c = 0u; c < R * C; c++) {
    acc[c] = V4(0.0);
  }
  for (var part = 0u; part < unit.w; part++) {
    let range = work[params.ranges + unit.z + part];
    var most = 0u;
#for r in R
    let limit$r = seen(range, member$r);
    most = max(most, limit$r);
#end
    for (var key = 0u; key < most; key += B) {
#for b in B
      let kv$b = ((range.x + min(key + $bu, range.y - 1u)) * KV_HEADS + kv_head) * C;
#for r in R
      var s$r_$b = 0.0;
      var dp$r_$b = 0.0;
#end
#end
      for (var c = 0u; c < end; c++) {
#for r in R
        let q$r = V4(q[at$r * C + c]);
        let do$r = V4(d_o[at$r * C + c]);
#end
#for b in B
        let k$b = V4(k[kv$b + c]);
        let v$b = V4(v[kv$b + c]);
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
      for (var c = 0u; c < end; c++) {
#for b in B
        let again$b = V4(k[kv$b + c]);
#end
#for r in R
        acc[$ru * C + c] += V4(0.0)
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
    for (var c = 0u; c < end; c++) {
      let before = select(V4(0.0), V4(dq[at$r * C + c]), member$r.w == 1u);
      dq[at$r * C + c] = Q4(before + acc[$ru * C + c]);
    }
  }
#end
}
