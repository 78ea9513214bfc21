// Embedding lookup in a table [vocab, H] of q4, q8 or f16: out[row_offset + i] = table[tokens[token_offset + i]] as f32.
//
// Grid: ceil(rows * octets / 64) workgroups of 64, folded into x and y; a thread unpacks one octet.
// Memory: one table row read and one row written for each token. Ids outside of the table write nothing, as in
// embed-tokens.wgsl. Limits: H a multiple of 4. Behind weight-octet.wgsl.

struct Params {
  rows: u32,
  k4: u32,
  blocks: u32,
  vocab: u32,
  token_offset: u32,
  row_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>; // [.., H]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * 64u + id.x;
  let octets = (p.k4 + 1u) / 2u;
  let row = thread / octets;
  if (row >= p.rows) {
    return;
  }
  let token = tokens[p.token_offset + row];
  if (token < 0 || u32(token) >= p.vocab) {
    return;
  }
  let o = thread % octets;
  let values = octet(u32(token), o);
  let at = (p.row_offset + row) * p.k4 + 2u * o;
  out[at] = values.low;
  if (2u * o + 1u < p.k4) {
    out[at + 1u] = values.high;
  }
}
