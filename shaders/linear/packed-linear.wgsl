// y = alpha x W^T (+ bias or residual) for W [N, K] of q4, q8 or f16: x [rows, K], y [rows, N], K a multiple of 4.
//
// Grid: (N / (C * COLUMNS), rows / R), rounded up. LANES threads share C columns and R rows: each takes every LANES-th
// octet of W, so that neighbouring threads read neighbouring words, unpacks it once for all R rows; then they add up what
// they found, always in the same order: in workgroup memory (BARRIER) or by shuffles (SUBGROUP), or there is one (ALONE).
// So W is read once for up to R rows (a decode step's), and by R at a time for more. Rows and columns past the end repeat
// the last one and are not written.
// Constants: LANES (a power of 2; with SUBGROUP not above the smallest subgroup), COLUMNS; a workgroup has
// LANES * COLUMNS threads; loop counts R and C; of BARRIER, SUBGROUP and ALONE one is 1, the others 0; element types
// X4, C1 and Y1 of f32 or f16. Behind weight-octet.wgsl.

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias, 2: c is a residual
  alpha: f32,
  blocks: u32, // of a row of W
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X4>;
@group(0) @binding(3) var<storage, read> c: array<C1>; // bias [N] or residual [rows, N]
@group(0) @binding(4) var<storage, read_write> y: array<Y1>;

#for b in BARRIER
var<workgroup> parts: array<f32, LANES * COLUMNS>;
#end

fn put(row: u32, column: u32, value: f32) {
  if (row >= p.rows || column >= p.n) {
    return;
  }
  var sum = value * p.alpha;
  if (p.mode == 1u) {
    sum += f32(c[column]);
  } else if (p.mode == 2u) {
    sum += f32(c[row * p.n + column]);
  }
  y[row * p.n + column] = Y1(sum);
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let column = (group.x * COLUMNS + thread / LANES) * C_COUNT;
  let row = group.y * R_COUNT;
  let end = (p.k4 + 1u) / 2u;
#for c in C
  let column$c = min(column + $cu, p.n - 1u);
#end
#for r in R
  let x$r = min(row + $ru, p.rows - 1u) * p.k4;
#for c in C
  var sum$r_$c = 0.0;
#end
#end
  for (var o = lane; o < end; o += LANES) {
    // An odd number of vec4s: the last octet has one of them.
    let whole = 2u * o + 1u < p.k4;
    let second = min(2u * o + 1u, p.k4 - 1u);
#for c in C
    let w$c = octet(column$c, o);
#end
#for r in R
    let low$r = vec4<f32>(x[x$r + 2u * o]);
    let high$r = select(vec4<f32>(0.0), vec4<f32>(x[x$r + second]), whole);
#for c in C
    sum$r_$c += dot(low$r, w$c.low) + dot(high$r, w$c.high);
#end
#end
  }
#for r in R
#for c in C
#for b in BARRIER
  parts[thread] = sum$r_$c;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < LANES; i++) {
      sum$r_$c += parts[thread + i];
    }
  }
  workgroupBarrier();
#end
#for s in SUBGROUP
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    sum$r_$c += subgroupShuffleXor(sum$r_$c, step);
  }
#end
  if (lane == 0u) {
    put(row + $ru, column + $cu, sum$r_$c);
  }
#end
#end
}
