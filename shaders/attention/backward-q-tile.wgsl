// Attention over segment trees, backward with respect to the queries, for GPUs: tiles of virtual rows against tiles of
// keys in workgroup memory.
//
// Formulas as backward-q.wgsl, units as units.wgsl, scores as tile-scores.wgsl; all keys of a row are in one unit. Grid:
// (units * parts, KV heads), OWN / 4 * LANES threads. A workgroup owns OWN virtual rows of a unit and takes them through
// its keys, OTHER at a time: it makes their scores a CHUNK of the head at a time, a thread 4 rows with PER keys; then a
// thread adds, for 4 rows and every LANES-th vec4 of the head, what the keys give.
// Memory: K twice and V once for each OWN rows, q and do once for each step of keys, dq once.
// Workgroup memory: as tile-scores.wgsl, and OTHER * OWN floats. Registers: 4 CPT vectors of sums.
// Limits: OWN a multiple of 4, D a multiple of 8. Constants: as units.wgsl and tile-scores.wgsl.

var<workgroup> weights: array<V4, OTHER * QUADS>; // ds: [key, rows / 4]

// Own side: virtual rows of a unit. Other side: keys of a range.
fn own_at(own: U4, row: u32) -> u32 {
  return row_at(own.x, min(own.y + row, own.z), own.w);
}

fn other_at(other: U4, key: u32) -> u32 {
  return (other.x + min(other.y + key, other.z)) * KV_HEADS + other.w;
}

fn own_a(at: u32) -> V4 {
  return V4(q[at]);
}

fn own_b(at: u32) -> V4 {
  return V4(d_o[at]);
}

fn other_a(at: u32) -> V4 {
  return V4(k[at]);
}

fn other_b(at: u32) -> V4 {
  return V4(v[at]);
}

/// Where a virtual row's values begin, in heads of q.
fn row_at(first_member: u32, vr: u32, kv_head: u32) -> u32 {
  return work[params.members + first_member + vr / GROUP].x * Q_HEADS + kv_head * GROUP + vr % GROUP;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let unit = work[params.first_unit + group.x / params.parts];
  let virtual_rows = unit.y * GROUP;
  let first = group.x % params.parts * OWN;
  let kv_head = group.y;
  if (first >= virtual_rows) {
    return;
  }
  let lane = thread % LANES;
  let quad = thread / LANES;
#for r in 4
  // Rows past the end repeat the last one and are not written.
  let vr$r = min(first + 4u * quad + $ru, virtual_rows - 1u);
  let member$r = work[params.members + unit.x + vr$r / GROUP];
  let stat$r = stats[row_at(unit.x, vr$r, kv_head)];
#for j in CPT
  var acc$r_$j = V4(0.0);
#end
#end
  let top = V4(stat0.x, stat1.x, stat2.x, stat3.x);
  let ln = V4(stat0.y, stat1.y, stat2.y, stat3.y);
  let delta = V4(stat0.z, stat1.z, stat2.z, stat3.z);
  // The rows of a unit ascend in their segment, so the last one sees most.
  let last = work[params.members + unit.x + (min(first + OWN, virtual_rows) - 1u) / GROUP];
  for (var part = 0u; part < unit.w; part++) {
    let range = work[params.ranges + unit.z + part];
    let limits = U4(seen(range, member0), seen(range, member1), seen(range, member2), seen(range, member3));
    let most = seen(range, last);
    for (var key = 0u; key < most; key += OTHER) {
      let scores = scores_of(
        U4(unit.x, first, virtual_rows - 1u, kv_head), U4(range.x, key, range.y - 1u, kv_head), thread);
#for b in PER
      let see$b = U4(key + lane + $bu * LANES) < limits;
      let p$b = exp(scores.s[$b] * params.scale - top - ln);
      weights[(lane + $bu * LANES) * QUADS + quad] =
        select(V4(0.0), params.scale * p$b * (scores.dp[$b] - delta), see$b);
#end
      workgroupBarrier();
      for (var n = 0u; n < min(OTHER, most - key); n++) {
        let ds = weights[n * QUADS + quad];
        let source = ((range.x + key + n) * KV_HEADS + kv_head) * C;
#for j in CPT
        let k$j = V4(k[source + min(lane + $ju * LANES, C - 1u)]);
#for r in 4
        acc$r_$j += ds[$r] * k$j;
#end
#end
      }
      // The next step of keys writes the weights after its own barriers.
    }
  }
#for r in 4
  if (first + 4u * quad + $ru < virtual_rows) {
    let to$r = row_at(unit.x, vr$r, kv_head) * C;
#for j in CPT
    if (lane + $ju * LANES < C) {
      let before = select(V4(0.0), V4(dq[to$r + lane + $ju * LANES]), member$r.w == 1u);
      dq[to$r + lane + $ju * LANES] = Q4(before + acc$r_$j);
    }
#end
  }
#end
}
