// y = alpha x0 W0^T (+ x1 W1^T) (+ bias or residual), many rows: xt [rows, Kt], Wt [N, Kt], y [rows, N], Kt multiples
// of 4. With two terms the first one is a LoRA's: W0 its B, x0 what its A gave.
//
// Without workgroup memory or barriers, for adapters where loads are dear and arithmetic is not (src/blocks/wgsl/tiles.ts).
// Grid: (N / 4 COLUMN_PAIRS, rows / 4 ROW_PAIRS), rounded up; a workgroup is four threads, two by two, which make
// 4 ROW_PAIRS rows x 4 COLUMN_PAIRS columns, in registers. With QUAD each pair of rows is loaded by two neighbours, a row
// each, and swapped in registers, and so is each pair of columns: ROW_PAIRS + COLUMN_PAIRS vec4 loads a thread for
// 16 ROW_PAIRS COLUMN_PAIRS multiply-adds. With ALONE (no subgroups) a thread loads all of its rows and columns itself.
// Rows and columns past the end repeat the last one and are not written.
// Counts (src/gpu/expand-wgsl.ts) and constants: TERMS, ROW_PAIRS, COLUMN_PAIRS; of QUAD and ALONE one is 1, one 0;
// BIAS, RESIDUAL: what c is, if any. Types: X_t and W_t (vec4s), C, Y.

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

fn put(row: u32, column: u32, value: f32) {
  if (row < p.rows && column < p.n) {
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

#for q in QUAD
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) thread: u32) {
  // Which of a pair of rows, and of columns, this thread loads.
  let own_row = thread & 1u;
  let own_column = (thread >> 1u) & 1u;
#end
#for q in ALONE
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  const own_row = 0u;
  const own_column = 0u;
#end
  let column = (group.x * 2u + (thread & 1u)) * (2u * COLUMN_PAIRS);
  let row = (group.y * 2u + ((thread >> 1u) & 1u)) * (2u * ROW_PAIRS);
#for i in ROW_PAIRS
  let row$i_0 = min(row + 2u * $iu + own_row, p.rows - 1u);
  let row$i_1 = min(row + 2u * $iu + 1u, p.rows - 1u);
#for j in COLUMN_PAIRS
  var sum$i_$j = vec4<f32>(0.0); // rows own, own, other, other; columns own, other, own, other
#end
#end
#for j in COLUMN_PAIRS
  let column$j_0 = min(column + 2u * $ju + own_column, p.n - 1u);
  let column$j_1 = min(column + 2u * $ju + 1u, p.n - 1u);
#end
#for t in TERMS
  for (var k = 0u; k < p.k4_$t; k++) {
#for j in COLUMN_PAIRS
    let b$j_0 = vec4<f32>(w$t[column$j_0 * p.k4_$t + k]);
#for q in QUAD
    let b$j_1 = quadSwapY(b$j_0);
#end
#for q in ALONE
    let b$j_1 = vec4<f32>(w$t[column$j_1 * p.k4_$t + k]);
#end
#end
#for i in ROW_PAIRS
    let a$i_0 = vec4<f32>(x$t[row$i_0 * p.k4_$t + k]);
#for q in QUAD
    let a$i_1 = quadSwapX(a$i_0);
#end
#for q in ALONE
    let a$i_1 = vec4<f32>(x$t[row$i_1 * p.k4_$t + k]);
#end
#for j in COLUMN_PAIRS
    sum$i_$j += vec4<f32>(dot(a$i_0, b$j_0), dot(a$i_0, b$j_1), dot(a$i_1, b$j_0), dot(a$i_1, b$j_1));
#end
#end
  }
  if ($tu == 0u) {
#for i in ROW_PAIRS
#for j in COLUMN_PAIRS
    sum$i_$j *= p.alpha;
#end
#end
  }
#end
#for i in ROW_PAIRS
#for j in COLUMN_PAIRS
  put(row + 2u * $iu + own_row, column + 2u * $ju + own_column, sum$i_$j.x);
  put(row + 2u * $iu + own_row, column + 2u * $ju + (1u - own_column), sum$i_$j.y);
  put(row + 2u * $iu + (1u - own_row), column + 2u * $ju + own_column, sum$i_$j.z);
  put(row + 2u * $iu + (1u - own_row), column + 2u * $ju + (1u - own_column), sum$i_$j.w);
#end
#end
}
