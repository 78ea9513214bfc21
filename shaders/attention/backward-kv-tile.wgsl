// Attention over segment trees, backward with respect to keys and values, for GPUs: tiles of keys against tiles of virtual
// rows in workgroup memory.
//
// Formulas, work list and order of sums as backward-kv.wgsl. Grid: (key tiles, KV heads), OWN / 4 * LANES threads. A
// workgroup owns the up to OWN keys of a tile and takes them through the query rows that see them, OTHER virtual rows at a
// time: it makes their scores a CHUNK of the head at a time, a thread 4 keys with PER rows; then a thread adds, for 4 keys
// and every LANES-th vec4 of the head, what the rows give. So a shared prefix's gradient is summed by one workgroup.
// Memory: q and do twice, k and v once for each OWN keys and step of rows, dk and dv once.
// Workgroup memory: 2 (OWN + OTHER) (CHUNK + 1) vectors, 2 OTHER * OWN floats. Registers: 8 CPT vectors of sums.
// Limits: OWN a multiple of 4 and at least a key tile's rows, D a multiple of 8. Constants: D, Q_HEADS, KV_HEADS, OWN,
// LANES, PER, CHUNK, CPT = ceil(C / LANES); element types Q4 and K4.

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
const GROUP: u32 = Q_HEADS / KV_HEADS;
const QUADS: u32 = OWN / 4u;
const OTHER: u32 = LANES * PER;
const THREADS: u32 = LANES * QUADS;
const STRIDE: u32 = CHUNK + 1u; // one more keeps neighbouring threads on different banks

var<workgroup> tile_k: array<V4, OWN * STRIDE>;
var<workgroup> tile_v: array<V4, OWN * STRIDE>;
var<workgroup> tile_q: array<V4, OTHER * STRIDE>;
var<workgroup> tile_do: array<V4, OTHER * STRIDE>;
var<workgroup> weights_p: array<V4, OTHER * QUADS>;  // [row, keys / 4]
var<workgroup> weights_ds: array<V4, OTHER * QUADS>;

/// Where a virtual row's values begin in q, in vec4s of the head.
fn row_at(run: U4, vr: u32, kv_head: u32) -> u32 {
  return (run.x + vr / GROUP) * Q_HEADS + kv_head * GROUP + vr % GROUP;
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
    // Rows before the first key do not see it.
    let before = select(0u, max(keys.z, run.z) - run.z, run.w == 1u);
    let end = run.y * GROUP;
    for (var vr = before * GROUP; vr < end; vr += OTHER) {
#for b in PER
      var s$b = V4(0.0);
      var dp$b = V4(0.0);
#end
      for (var chunk = 0u; chunk < C; chunk += CHUNK) {
        for (var i = thread; i < OWN * CHUNK; i += THREADS) {
          let c = chunk + i % CHUNK;
          let source = ((keys.x + min(i / CHUNK, keys.y - 1u)) * KV_HEADS + kv_head) * C + min(c, C - 1u);
          tile_k[i / CHUNK * STRIDE + i % CHUNK] = select(V4(0.0), V4(k[source]), c < C);
          tile_v[i / CHUNK * STRIDE + i % CHUNK] = select(V4(0.0), V4(v[source]), c < C);
        }
        for (var i = thread; i < OTHER * CHUNK; i += THREADS) {
          let c = chunk + i % CHUNK;
          let source = row_at(run, min(vr + i / CHUNK, end - 1u), kv_head) * C + min(c, C - 1u);
          tile_q[i / CHUNK * STRIDE + i % CHUNK] = V4(q[source]);
          tile_do[i / CHUNK * STRIDE + i % CHUNK] = V4(d_o[source]);
        }
        workgroupBarrier();
        for (var c = 0u; c < CHUNK; c++) {
#for r in 4
          let k$r = tile_k[(4u * quad + $ru) * STRIDE + c];
          let v$r = tile_v[(4u * quad + $ru) * STRIDE + c];
#end
#for b in PER
          let q$b = tile_q[(lane + $bu * LANES) * STRIDE + c];
          let do$b = tile_do[(lane + $bu * LANES) * STRIDE + c];
          s$b += V4(dot(q$b, k0), dot(q$b, k1), dot(q$b, k2), dot(q$b, k3));
          dp$b += V4(dot(do$b, v0), dot(do$b, v1), dot(do$b, v2), dot(do$b, v3));
#end
        }
        workgroupBarrier();
      }
#for b in PER
      let vr$b = vr + lane + $bu * LANES;
      let stat$b = stats[row_at(run, min(vr$b, end - 1u), kv_head)];
      // Places of own segment that the row sees, from 1; none for a row past the end.
      let seen$b = select(0u, select(0xffffffffu, run.z + vr$b / GROUP + 1u, run.w == 1u), vr$b < end);
      let see$b = places < U4(seen$b);
      let p$b = select(V4(0.0), exp(s$b * params.scale - stat$b.x - stat$b.y), see$b);
      weights_p[(lane + $bu * LANES) * QUADS + quad] = p$b;
      weights_ds[(lane + $bu * LANES) * QUADS + quad] =
        select(V4(0.0), params.scale * p$b * (dp$b - stat$b.z), see$b);
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
