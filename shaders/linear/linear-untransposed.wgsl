// y = alpha x0 W0 (+ x1 W1) (+ bias or residual): xt [rows, Nt], Wt [Nt, K], y [rows, K], K a multiple of 4, Nt too
// (WIDE) or any (ANY). With W a layer's weight [out, in] this is the gradient of a linear layer with respect to its
// input, through frozen weights; with two terms the first one is a LoRA's: W0 its A, x0 the gradient of what it gave.
//
// Without workgroup memory or barriers, as linear.wgsl. Grid: (K / 16, rows / 4 ROW_PAIRS), rounded up; a workgroup is
// four threads, two by two, which make 4 ROW_PAIRS rows x 16 columns, in registers. With QUAD each pair of rows of x is
// loaded by two neighbours, a row each, and swapped in registers, and so is each pair of column vec4s: ROW_PAIRS + 4 vec4
// loads a thread for 64 ROW_PAIRS multiply-adds. With ALONE (no subgroups) a thread loads all that it needs itself.
// Rows and columns past the end repeat the last one and are not written.
// Counts (src/gpu/expand-wgsl.ts) and constants: TERMS, ROW_PAIRS; of QUAD and ALONE, and of WIDE and ANY, one is 1, one
// 0; BIAS, RESIDUAL: what c is, if any. Types: X_t (vec4s with WIDE), W_t, C and Y (vec4s).

struct Params {
  rows: u32,
  k4: u32,
  n_0: u32,
  n_1: u32,
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

#for t in TERMS
// Elements 4n.. of a row of x; 0 past its end.
fn take$t(row: u32, n: u32) -> vec4<f32> {
#for i in WIDE
  return vec4<f32>(x$t[row * (p.n_$t / 4u) + n]);
#end
#for i in ANY
  let at = row * p.n_$t;
  let last = at + p.n_$t - 1u;
  let left = p.n_$t - 4u * n;
  let first = at + 4u * n;
  return vec4<f32>(
    f32(x$t[first]),
    select(0.0, f32(x$t[min(first + 1u, last)]), left > 1u),
    select(0.0, f32(x$t[min(first + 2u, last)]), left > 2u),
    select(0.0, f32(x$t[min(first + 3u, last)]), left > 3u),
  );
#end
}
#end

fn put(row: u32, column: u32, value: vec4<f32>) {
  if (row < p.rows && column < p.k4) {
    var sum = value;
#for b in BIAS
    sum += vec4<f32>(bias[column]);
#end
#for r in RESIDUAL
    sum += vec4<f32>(residual[row * p.k4 + column]);
#end
    y[row * p.k4 + column] = Y(sum);
  }
}

#for q in QUAD
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) thread: u32) {
  // Which of a pair of rows, and of column vec4s, this thread loads.
  let own_row = thread & 1u;
  let own_column = (thread >> 1u) & 1u;
#end
#for q in ALONE
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  const own_row = 0u;
  const own_column = 0u;
#end
  let column = (group.x * 2u + (thread & 1u)) * 2u;
  let row = (group.y * 2u + ((thread >> 1u) & 1u)) * (2u * ROW_PAIRS);
  let column_0 = min(column + own_column, p.k4 - 1u);
  let column_1 = min(column + 1u, p.k4 - 1u);
#for i in ROW_PAIRS
  let row$i_0 = min(row + 2u * $iu + own_row, p.rows - 1u);
  let row$i_1 = min(row + 2u * $iu + 1u, p.rows - 1u);
  // Rows own and other by column vec4s own and other.
  var sum$i_00 = vec4<f32>(0.0);
  var sum$i_01 = vec4<f32>(0.0);
  var sum$i_10 = vec4<f32>(0.0);
  var sum$i_11 = vec4<f32>(0.0);
#end
#for t in TERMS
  for (var n = 0u; 4u * n < p.n_$t; n++) {
#for r in 4
#for i in WIDE
    let at$r = (4u * n + $ru) * p.k4;
#end
#for i in ANY
    let at$r = min(4u * n + $ru, p.n_$t - 1u) * p.k4;
#end
    let b$r_0 = vec4<f32>(w$t[at$r + column_0]);
#for q in QUAD
    let b$r_1 = quadSwapY(b$r_0);
#end
#for q in ALONE
    let b$r_1 = vec4<f32>(w$t[at$r + column_1]);
#end
#end
    let tile_0 = mat4x4<f32>(b0_0, b1_0, b2_0, b3_0);
    let tile_1 = mat4x4<f32>(b0_1, b1_1, b2_1, b3_1);
#for i in ROW_PAIRS
    let a$i_0 = take$t(row$i_0, n);
#for q in QUAD
    let a$i_1 = quadSwapX(a$i_0);
#end
#for q in ALONE
    let a$i_1 = take$t(row$i_1, n);
#end
    sum$i_00 += tile_0 * a$i_0;
    sum$i_01 += tile_1 * a$i_0;
    sum$i_10 += tile_0 * a$i_1;
    sum$i_11 += tile_1 * a$i_1;
#end
  }
  if ($tu == 0u) {
#for i in ROW_PAIRS
    sum$i_00 *= p.alpha;
    sum$i_01 *= p.alpha;
    sum$i_10 *= p.alpha;
    sum$i_11 *= p.alpha;
#end
  }
#end
#for i in ROW_PAIRS
  put(row + 2u * $iu + own_row, column + own_column, sum$i_00);
  put(row + 2u * $iu + own_row, column + (1u - own_column), sum$i_01);
  put(row + 2u * $iu + (1u - own_row), column + own_column, sum$i_10);
  put(row + 2u * $iu + (1u - own_row), column + (1u - own_column), sum$i_11);
#end
}
