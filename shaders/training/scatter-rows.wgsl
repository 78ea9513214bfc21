// The gradient of gather-rows.wgsl: dx[row] = the sum of dy[i] over all i with index[i] = row, 0 where there is none.
// A row has its sources in `sources`, from starts[row] to starts[row + 1], and adds them up in that order: the last row
// of a shared prefix predicts the first token of every child. No atomics, so the same inputs give the same bits.
// Grid: rows * W / 64, folded into two dimensions.

struct Params {
  rows: u32,
  w4: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;  // [rows + 1]
@group(0) @binding(2) var<storage, read> sources: array<u32>; // rows of dy
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.rows * p.w4) {
    return;
  }
  let row = i / p.w4;
  var sum = vec4<f32>(0.0);
  for (var s = starts[row]; s < starts[row + 1u]; s++) {
    sum += dy[sources[s] * p.w4 + i % p.w4];
  }
  dx[i] = sum;
}
