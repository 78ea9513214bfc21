// y = alpha x0 W0 (+ x1 W1) (+ bias or residual), many rows, on a GPU: xt [rows, It], y [rows, O]; FORWARD: Wt [O, It] is
// transposed, It a multiple of 4 (a linear layer); BACKWARD: Wt [It, O], O a multiple of 4, It too (WIDE) or any (ANY)
// (its gradient with respect to its input). With two terms the first one is a LoRA's.
//
// Grid: (O / 64, rows / 64), rounded up; 256 threads make 64 x 64 elements, 4 x 4 each in registers, from tiles of x and W
// of 16 inner channels in workgroup memory (8.5 KiB): x is read O / 64 times, W rows / 64 times, y written once. A thread's
// rows and columns are 16 apart, so that neighbours read different banks and write neighbouring addresses.
// What lies past an end is 0 in workgroup memory and is not written.
// Counts (src/gpu/expand-wgsl.ts) and constants: TERMS; of FORWARD and BACKWARD, and of WIDE and ANY, one is 1, one 0;
// BIAS, RESIDUAL: what c is, if any. Types: X_t (vec4s with WIDE), W_t (vec4s), C, Y.

struct Params {
  rows: u32,
  columns: u32,
  inner_0: u32,
  inner_1: u32,
  alpha: f32,
}

const STRIDE = 68u; // of a channel in workgroup memory: 64, and 4 so that the writes of a channel's rows spread over banks

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

var<workgroup> xs: array<f32, 16u * STRIDE>;
var<workgroup> ws: array<f32, 16u * STRIDE>;

fn put(row: u32, column: u32, value: f32) {
  if (row < p.rows && column < p.columns) {
    var sum = value;
#for b in BIAS
    sum += f32(bias[column]);
#end
#for r in RESIDUAL
    sum += f32(residual[row * p.columns + column]);
#end
    y[row * p.columns + column] = Y(sum);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % 16u;
  let ty = thread / 16u;
  let first_row = group.y * 64u;
  let first_column = group.x * 64u;
#for i in 4
  var sum$i = vec4<f32>(0.0);
#end
#for t in TERMS
  for (var first = 0u; first < p.inner_$t; first += 16u) {
    {
      let row = first_row + thread / 4u;
      let inner = first + 4u * (thread % 4u);
      var value = vec4<f32>(0.0);
      if (row < p.rows && inner < p.inner_$t) {
        let at = row * p.inner_$t + inner;
#for i in WIDE
        value = vec4<f32>(x$t[at / 4u]);
#end
#for i in ANY
        let left = p.inner_$t - inner;
        value.x = f32(x$t[at]);
        if (left > 1u) {
          value.y = f32(x$t[at + 1u]);
        }
        if (left > 2u) {
          value.z = f32(x$t[at + 2u]);
        }
        if (left > 3u) {
          value.w = f32(x$t[at + 3u]);
        }
#end
      }
      let to = 4u * (thread % 4u) * STRIDE + thread / 4u;
      xs[to] = value.x;
      xs[to + STRIDE] = value.y;
      xs[to + 2u * STRIDE] = value.z;
      xs[to + 3u * STRIDE] = value.w;
    }
#for f in FORWARD
    {
      let column = first_column + thread / 4u;
      let inner = first + 4u * (thread % 4u);
      var value = vec4<f32>(0.0);
      if (column < p.columns && inner < p.inner_$t) {
        value = vec4<f32>(w$t[(column * p.inner_$t + inner) / 4u]);
      }
      let to = 4u * (thread % 4u) * STRIDE + thread / 4u;
      ws[to] = value.x;
      ws[to + STRIDE] = value.y;
      ws[to + 2u * STRIDE] = value.z;
      ws[to + 3u * STRIDE] = value.w;
    }
#end
#for f in BACKWARD
    {
      let column = first_column + 4u * tx;
      let inner = first + ty;
      var value = vec4<f32>(0.0);
      if (column < p.columns && inner < p.inner_$t) {
        value = vec4<f32>(w$t[(inner * p.columns + column) / 4u]);
      }
      let to = ty * STRIDE + 4u * tx;
      ws[to] = value.x;
      ws[to + 1u] = value.y;
      ws[to + 2u] = value.z;
      ws[to + 3u] = value.w;
    }
#end
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let at = k * STRIDE;
      let b = vec4<f32>(ws[at + tx], ws[at + tx + 16u], ws[at + tx + 32u], ws[at + tx + 48u]);
#for i in 4
      sum$i += xs[at + ty + 16u * $iu] * b;
#end
    }
    workgroupBarrier();
  }
  if ($tu == 0u) {
#for i in 4
    sum$i *= p.alpha;
#end
  }
#end
#for i in 4
  put(first_row + ty + 16u * $iu, first_column + tx, sum$i.x);
  put(first_row + ty + 16u * $iu, first_column + tx + 16u, sum$i.y);
  put(first_row + ty + 16u * $iu, first_column + tx + 32u, sum$i.z);
  put(first_row + ty + 16u * $iu, first_column + tx + 48u, sum$i.w);
#end
}
