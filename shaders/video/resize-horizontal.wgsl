// First pass of Pillow's 8-bit bicubic resize: RGB bytes [H, W] -> [H, S], rounded to bytes.
//
// Grid: ceil(S / 8) x ceil(H / 8) workgroups of 8 x 8, one pixel an invocation.
// Traffic: `taps` pixels (4 bytes each, shared by neighbours through the cache) and weights read, 4 bytes written.
// Sums stay inside i32: `resizeCoefficients` checks the weights.

struct Params {
  in_width: u32,
  height: u32,
  out_width: u32,
  taps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>; // [H, W]
@group(0) @binding(2) var<storage, read> bounds: array<vec2<i32>>; // [S]: first, count
@group(0) @binding(3) var<storage, read> weights: array<i32>; // [S, taps]
@group(0) @binding(4) var<storage, read_write> result: array<u32>; // [H, S]

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.out_width || id.y >= params.height) {
    return;
  }
  let bound = bounds[id.x];
  let row = id.y * params.in_width + u32(bound.x);
  var sum = vec3<i32>(1 << 21u);
  for (var i = 0u; i < u32(bound.y); i++) {
    let pixel = source[row + i];
    sum += vec3<i32>(vec3(pixel, pixel >> 8u, pixel >> 16u) & vec3(0xffu)) * weights[id.x * params.taps + i];
  }
  let out = vec3<u32>(clamp(sum >> vec3(22u), vec3(0), vec3(255)));
  result[id.y * params.out_width + id.x] = out.r | (out.g << 8u) | (out.b << 16u);
}
