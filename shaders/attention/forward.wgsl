// Attention over segment trees, forward: online softmax in registers, no workgroup memory, no barriers.
//
// Grid: ceil(units * parts * KV_HEADS / WG) workgroups, folded into x and y. A thread takes R virtual rows of a unit
// through the unit's keys, B at a time: each K and V element it loads serves R * 4 multiply-adds.
// Memory: q and o once, K and V once a unit: its threads are neighbours and read the same addresses at the same time, so
// all but the first hit the cache. Registers: R * D for the output, so R is small where D is large.
// A row whose keys are in several units leaves its parts for join.wgsl: sum of exp(score - max) v, not yet divided.
// Limits: D a multiple of 8; every row sees at least one key. Constants: as units.wgsl, and R, B, U (how far
// the loop over the head is unrolled), WG. `#for` lines are unrolled by src/gpu/expand-wgsl.ts.

@group(0) @binding(2) var<storage, read> q: array<Q4>;              // [rows, Hq, D]
@group(0) @binding(3) var<storage, read> k: array<K4>;              // [T, Hkv, D]
@group(0) @binding(4) var<storage, read> v: array<K4>;              // [T, Hkv, D]
@group(0) @binding(5) var<storage, read_write> o: array<Q4>;        // [rows, Hq, D]
@group(0) @binding(6) var<storage, read_write> stats: array<V4>;    // [rows, Hq]: max, ln sum, 0, 0; or shorter where not wanted
@group(0) @binding(7) var<storage, read_write> part_o: array<V4>;   // [partials, Hq, D]
@group(0) @binding(8) var<storage, read_write> part_stats: array<vec2<f32>>; // [partials, Hq]: max, sum

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * WG + id.x;
  let kv_head = thread / params.parts / params.units;
  if (kv_head >= KV_HEADS) {
    return;
  }
  let unit = work[params.first_unit + thread / params.parts % params.units];
  let virtual_rows = unit.y * GROUP;
  let first = thread % params.parts * R;
  if (first >= virtual_rows) {
    return;
  }
#for r in R
  // Rows past the end repeat the last one and are not written.
  let vr$r = min(first + $ru, virtual_rows - 1u);
  let member$r = work[params.members + unit.x + vr$r / GROUP];
  let at$r = member$r.x * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
  let q_at$r = at$r * C;
  var max$r = LOWEST;
  var sum$r = 0.0;
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
#end
#end
      for (var c = 0u; c < end; c++) {
#for r in R
        let q$r = V4(q[q_at$r + c]);
#end
#for b in B
        let k$b = V4(k[kv$b + c]);
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
      for (var c = 0u; c < end; c += U) {
#for u in U
#for b in B
        let v$b_$u = V4(v[kv$b + c + $uu]);
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
    if (member$r.z == NONE) {
      let scale$r = 1.0 / sum$r;
      for (var c = 0u; c < end; c++) {
        o[q_at$r + c] = Q4(acc[$ru * C + c] * scale$r);
      }
      if (at$r < arrayLength(&stats)) {
        stats[at$r] = V4(max$r, log(sum$r), 0.0, 0.0);
      }
    } else {
      let to$r = member$r.z * Q_HEADS + kv_head * GROUP + vr$r % GROUP;
      for (var c = 0u; c < end; c++) {
        part_o[to$r * C + c] = acc[$ru * C + c];
      }
      part_stats[to$r] = vec2<f32>(max$r, sum$r);
    }
  }
#end
}
