// Embedding lookup: out[row_offset + i] = table[tokens[token_offset + i]].
//
// Grid: ceil(rows * width / 64) workgroups of 64, folded into x and y; a thread copies one vec4.
// Memory: one table row read and one row written for each token. Ids outside of the table write nothing: that is
// how the placeholder of the visual tokens keeps its rows for `copy-rows`.

alias V4 = vec4<f32>;

struct Params {
  rows: u32,
  width: u32, // vec4s of a row
  vocab: u32,
  token_offset: u32,
  row_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<V4>;          // [vocab, H]
@group(0) @binding(3) var<storage, read_write> out: array<V4>;      // [.., H]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * 64u + id.x;
  let row = thread / params.width;
  if (row >= params.rows) {
    return;
  }
  let column = thread % params.width;
  let token = tokens[params.token_offset + row];
  if (token < 0 || u32(token) >= params.vocab) {
    return;
  }
  out[(params.row_offset + row) * params.width + column] = table[u32(token) * params.width + column];
}
