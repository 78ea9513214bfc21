// Cuts frames into patches, so that the patch convolution becomes a product: pixels [T, 3, S, S] -> rows
// [frames * side * side, 3 * P * P], a row's order (channel, y, x) being the convolution weight's.
// Pixels right of and below the last whole patch are not read.
//
// Grid: elements / 64, folded into two dimensions. Reads the pixels once, writes the rows once.

struct Params {
  count: u32, // elements to write
  first: u32, // first frame
  size: u32,  // S
  edge: u32,  // P
  side: u32,  // patches along one side
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> pixels: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= p.count) {
    return;
  }
  let width = 3u * p.edge * p.edge;
  let row = i / width;
  let inner = i % width;
  let channel = inner / (p.edge * p.edge);
  let y = inner / p.edge % p.edge;
  let x = inner % p.edge;
  let cell = row % (p.side * p.side);
  let frame = p.first + row / (p.side * p.side);
  let py = cell / p.side * p.edge + y;
  let px = cell % p.side * p.edge + x;
  rows[i] = pixels[((frame * 3u + channel) * p.size + py) * p.size + px];
}
