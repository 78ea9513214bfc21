// Attention over segment trees, backward with respect to keys and values, for GPUs: tiles of keys against tiles of virtual
// rows in workgroup memory.
//
// Formulas and order of sums as backward-kv.wgsl, work list as keys.wgsl, scores as tile-scores.wgsl. Grid: (key tiles,
// KV heads), OWN / 4 * LANES threads. A workgroup owns the up to OWN keys of a tile and takes them through the query rows that see them, OTHER virtual rows at a
// time: it makes their scores a CHUNK of the head at a time, a thread 4 keys with PER rows; then a thread adds, for 4 keys
// and every LANES-th vec4 of the head, what the rows give. So a shared prefix's gradient is summed by one workgroup.
// Memory: q and do twice, k and v once for each OWN keys and step of rows, dk and dv once.
// Workgroup memory: as tile-scores.wgsl, and 2 OTHER * OWN floats. Registers: 8 CPT vectors of sums.
// Limits: OWN a multiple of 4 and at least a key tile's rows, D a multiple of 8. Constants: as keys.wgsl and
// tile-scores.wgsl.

var<workgroup> weights_p: array<V4, OTHER * QUADS>; // [row, keys / 4]
var<workgroup> weights_ds: array<V4, OTHER * QUADS>;

// Own side: keys of a tile. Other side: virtual rows of a run.
fn own_at(own: U4, key: u32) -> u32 {
  return (own.x + min(own.y + key, own.z)) * KV_HEADS + own.w;
}

fn other_at(other: U4, row: u32) -> u32 {
  return row_at(other, min(other.y + row, other.z), other.w);
}

fn own_a(at: u32) -> V4 {
  return V4(k[at]);
}

fn own_b(at: u32) -> V4 {
  return V4(v[at]);
}

fn other_a(at: u32) -> V4 {
  return V4(q[at]);
}

fn other_b(at: u32) -> V4 {
  return V4(d_o[at]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let keys = work[2u * (params.first_tile + group.x)];
  let runs = work[2u * (params.first_tile + group.x) + 1u];
  let kv_head = group.y;
  let lane = thread % LANES;
  let quad = thread / LANES;
  let places = keys.z + min(4u * quad + U4(0u, 1u, 2u, 3u), U4(keys.y - 1u));
#for r in 4
#for j in CPT
  var acc_k$r_$j = V4(0.0);
  var acc_v$r_$j = V4(0.0);
#end
#end
  for (var part = runs.x; part < runs.x + runs.y; part++) {
    let run = work[2u * params.tiles + part];
    let end = run.y * GROUP;
    for (var vr = first_row(run, keys.z); vr < end; vr += OTHER) {
      let scores = scores_of(U4(keys.x, 0u, keys.y - 1u, kv_head), U4(run.x, vr, end - 1u, kv_head), thread);
#for b in PER
      let vr$b = vr + lane + $bu * LANES;
      let stat$b = stats[row_at(run, min(vr$b, end - 1u), kv_head)];
      let see$b = places < U4(places_seen(run, vr$b));
      let p$b = select(V4(0.0), exp(scores.s[$b] * params.scale - stat$b.x - stat$b.y), see$b);
      weights_p[(lane + $bu * LANES) * QUADS + quad] = p$b;
      weights_ds[(lane + $bu * LANES) * QUADS + quad] =
        select(V4(0.0), params.scale * p$b * (scores.dp[$b] - stat$b.z), see$b);
#end
      workgroupBarrier();
      for (var n = 0u; n < min(OTHER, end - vr); n++) {
        let p = weights_p[n * QUADS + quad];
        let ds = weights_ds[n * QUADS + quad];
        let source = row_at(run, vr + n, kv_head) * C;
#for j in CPT
        let q$j = V4(q[source + min(lane + $ju * LANES, C - 1u)]);
        let do$j = V4(d_o[source + min(lane + $ju * LANES, C - 1u)]);
#for r in 4
        acc_k$r_$j += ds[$r] * q$j;
        acc_v$r_$j += p[$r] * do$j;
#end
#end
      }
      // The next step of rows writes the weights after its own barriers.
    }
  }
#for r in 4
  if (4u * quad + $ru < keys.y) {
    let to$r = ((keys.x + 4u * quad + $ru) * KV_HEADS + kv_head) * C;
#for j in CPT
    if (lane + $ju * LANES < C) {
      dk[to$r + lane + $ju * LANES] = K4(acc_k$r_$j);
      dv[to$r + lane + $ju * LANES] = K4(acc_v$r_$j);
    }
#end
  }
#end
}
