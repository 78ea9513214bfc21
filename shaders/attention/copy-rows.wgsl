// Copies rows: out[to + i] = x[from + i] (INDEXED 0), or out[to + i] = x[rows[i]] (INDEXED 1).
//
// Grid: ceil(count * width / 64) workgroups of 64, folded into x and y; a thread copies one vec4.
// Memory: every row read and written once. Limits: x and out are distinct buffers; indices beyond x write nothing.

alias V4 = vec4<f32>;

struct Params {
  count: u32,
  width: u32, // vec4s of a row
  x_rows: u32,
  from_row: u32,
  to_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V4>;
@group(0) @binding(2) var<storage, read_write> out: array<V4>;
#for x in INDEXED
@group(0) @binding(3) var<storage, read> rows: array<u32>;
#end

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * 64u + id.x;
  let i = thread / params.width;
  if (i >= params.count) {
    return;
  }
  let column = thread % params.width;
  var row = params.from_row + i;
#for x in INDEXED
  row = rows[i];
#end
  if (row >= params.x_rows) {
    return;
  }
  out[(params.to_row + i) * params.width + column] = x[row * params.width + column];
}
