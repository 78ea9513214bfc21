// y = alpha x W^T (+ c), or y = alpha x W (+ c), for many rows on a GPU; W [N, K] of q4, q8 or f16, K a multiple of 4.
//
// Grid: (columns / 64, rows / 64), rounded up; workgroups of 256. A workgroup makes 64 x 64 values, a thread 4 x 4 of
// them, from tiles of 64 x 32 of x and 32 x 64 of W in workgroup memory: W is unpacked once for 64 rows, one octet a
// thread and step. Memory: x once per 64 columns, W once per 64 rows; 256 PITCH bytes of workgroup memory. The 4 rows and
// columns of a thread lie 16 apart, so that neighbouring threads read neighbouring words.
// Constant PITCH: 65, or 64 where workgroups have 16,384 bytes alone; writes of neighbouring threads then share a bank.
// Loop counts FORWARD (x W^T) and BACKWARD (x W): one is 1, one 0; WIDE (rows of x have a multiple of 4 values) and ANY
// likewise; element types X1, X4, C1 and Y1 of f32 or f16. Behind weight-octet.wgsl.

struct Params {
  rows: u32,
  n: u32,
  k4: u32,
  mode: u32, // 0: c is not used, 1: c is a bias, 2: c is a residual
  alpha: f32,
  blocks: u32, // of a row of W
}

@group(0) @binding(0) var<uniform> p: Params;
#for i in WIDE
@group(0) @binding(1) var<storage, read> x: array<X4>;
#end
#for i in ANY
@group(0) @binding(1) var<storage, read> x: array<X1>;
#end
@group(0) @binding(3) var<storage, read> c: array<C1>; // bias [columns] or residual [rows, columns]
@group(0) @binding(4) var<storage, read_write> y: array<Y1>;

const TILE: u32 = 64u;
const DEPTH: u32 = 32u;

var<workgroup> xs: array<f32, 32 * PITCH>; // [DEPTH, PITCH]
var<workgroup> ws: array<f32, 32 * PITCH>;

// Elements i.. of a row of x as f32, 0 past its end.
fn take(row: u32, i: u32, width: u32) -> vec4<f32> {
  if (row >= p.rows || i >= width) {
    return vec4<f32>(0.0);
  }
#for i in WIDE
  return vec4<f32>(x[(row * width + i) / 4u]);
#end
#for i in ANY
  var out = vec4<f32>(0.0);
  for (var j = 0u; j < min(4u, width - i); j++) {
    out[j] = f32(x[row * width + i + j]);
  }
  return out;
#end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#for i in FORWARD
  let inner = 4u * p.k4;
  let columns = p.n;
#end
#for i in BACKWARD
  let inner = p.n;
  let columns = 4u * p.k4;
#end
  let row = group.y * TILE;
  let column = group.x * TILE;
  let tx = thread % 16u;
  let ty = thread / 16u;
#for r in 4
#for c in 4
  var sum$r_$c = 0.0;
#end
#end
  for (var first = 0u; first < inner; first += DEPTH) {
    // 64 rows of x, 8 vec4s each: two a thread.
    for (var part = thread; part < 512u; part += 256u) {
      let i = part / 8u;
      let value = take(row + i, first + 4u * (part % 8u), inner);
      let at = 4u * (part % 8u) * PITCH + i;
      xs[at] = value.x;
      xs[at + PITCH] = value.y;
      xs[at + 2u * PITCH] = value.z;
      xs[at + 3u * PITCH] = value.w;
    }
#for i in FORWARD
    // 64 rows of W, 4 octets each. x is zero past its end, and W is finite there.
    let at = 8u * (thread % 4u) * PITCH + thread / 4u;
    let own = octet(min(column + thread / 4u, p.n - 1u), first / 8u + thread % 4u);
    let step = PITCH;
#end
#for i in BACKWARD
    // 32 rows of W, 8 octets each.
    let at = thread / 8u * PITCH + 8u * (thread % 8u);
    let own = octet(min(first + thread / 8u, p.n - 1u), min(column / 8u + thread % 8u, (p.k4 - 1u) / 2u));
    let step = 1u;
#end
    ws[at] = own.low.x;
    ws[at + step] = own.low.y;
    ws[at + 2u * step] = own.low.z;
    ws[at + 3u * step] = own.low.w;
    ws[at + 4u * step] = own.high.x;
    ws[at + 5u * step] = own.high.y;
    ws[at + 6u * step] = own.high.z;
    ws[at + 7u * step] = own.high.w;
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
#for r in 4
      let x$r = xs[k * PITCH + ty + 16u * $ru];
#end
#for c in 4
      let w$c = ws[k * PITCH + tx + 16u * $cu];
#for r in 4
      sum$r_$c += x$r * w$c;
#end
#end
    }
    workgroupBarrier();
  }
#for r in 4
#for c in 4
  {
    let i = row + ty + 16u * $ru;
    let j = column + tx + 16u * $cu;
    if (i < p.rows && j < columns) {
      let sum = sum$r_$c * p.alpha + select(0.0, f32(c[select(j, i * columns + j, p.mode == 2u)]), p.mode != 0u);
      y[i * columns + j] = Y1(sum);
    }
  }
#end
#end
}
