// y = alpha x0 W0^T (+ x1 W1^T) (+ bias or residual), few rows, on a GPU: xt [rows, Kt], Wt [N, Kt], y [rows, N], Kt
// multiples of 4. With two terms the first one is a LoRA's: W0 its B, x0 what its A gave.
//
// Grid: (N / COLUMNS, rows / ROWS), rounded up. LANES threads share a column: each takes every LANES-th vec4, so that
// neighbouring threads read neighbouring addresses of W, for all ROWS rows, so that W is read once for so many; then they
// add up what they found, always in the same order: in workgroup memory (BARRIER) or by shuffles (SUBGROUP).
// Counts (src/gpu/expand-wgsl.ts) and constants: TERMS, ROWS; of BARRIER and SUBGROUP one is 1, one 0; BIAS, RESIDUAL:
// what c is, if any; LANES (a power of 2; with SUBGROUP not above the smallest subgroup), COLUMNS: a workgroup has
// LANES * COLUMNS threads. Types: X_t and W_t (vec4s), C, Y.

struct Params {
  rows: u32,
  n: u32,
  k4_0: u32,
  k4_1: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#for t in TERMS
@group(0) @binding(2u * $tu + 1u) var<storage, read> x$t: array<X_$t>;
@group(0) @binding(2u * $tu + 2u) var<storage, read> w$t: array<W_$t>;
#end
@group(0) @binding(2u * TERMS + 1u) var<storage, read_write> y: array<Y>;
#for b in BIAS
@group(0) @binding(2u * TERMS + 2u) var<storage, read> bias: array<C>;
#end
#for r in RESIDUAL
@group(0) @binding(2u * TERMS + 2u) var<storage, read> residual: array<C>;
#end

#for b in BARRIER
var<workgroup> parts: array<f32, ROWS * LANES * COLUMNS>;
#end

fn put(row: u32, column: u32, value: f32) {
  if (row < p.rows) {
    var sum = value;
#for b in BIAS
    sum += f32(bias[column]);
#end
#for r in RESIDUAL
    sum += f32(residual[row * p.n + column]);
#end
    y[row * p.n + column] = Y(sum);
  }
}

@compute @workgroup_size(LANES * COLUMNS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let column = group.x * COLUMNS + thread / LANES;
  let first_row = group.y * ROWS;
  let read_column = min(column, p.n - 1u);
#for r in ROWS
  let row$r = min(first_row + $ru, p.rows - 1u);
  var sum$r = 0.0;
#end
#for t in TERMS
  for (var k = lane; k < p.k4_$t; k += LANES) {
    let b = vec4<f32>(w$t[read_column * p.k4_$t + k]);
#for r in ROWS
    sum$r += dot(vec4<f32>(x$t[row$r * p.k4_$t + k]), b);
#end
  }
  if ($tu == 0u) {
#for r in ROWS
    sum$r *= p.alpha;
#end
  }
#end
#for s in SUBGROUP
#for r in ROWS
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    sum$r += subgroupShuffleXor(sum$r, step);
  }
#end
#end
#for s in SUBGROUP
  if (lane == 0u && column < p.n) {
#for r in ROWS
    put(first_row + $ru, column, sum$r);
#end
  }
#end
#for b in BARRIER
#for r in ROWS
  parts[$ru * LANES * COLUMNS + thread] = sum$r;
#end
  workgroupBarrier();
  for (var i = thread; i < ROWS * COLUMNS; i += LANES * COLUMNS) {
    let first = i * LANES;
    var sum = 0.0;
    for (var j = 0u; j < LANES; j++) {
      sum += parts[first + j];
    }
    let to = group.x * COLUMNS + i % COLUMNS;
    if (to < p.n) {
      put(first_row + i / COLUMNS, to, sum);
    }
  }
#end
}
