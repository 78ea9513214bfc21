// Second pass of Pillow's 8-bit bicubic resize, [H, S] -> [S, S], and the look-up of pixel values, [3, S, S] f32.
//
// Grid: ceil(S / 8) x ceil(S / 8) workgroups of 8 x 8, one pixel an invocation.
// Traffic: `taps` pixels and weights read, 16 bytes written a pixel.
// The table holds the value of each byte as the original computes it, so that no rounding is left to the GPU.

struct Params {
  size: u32,
  taps: u32,
  base: u32, // first element of this frame in pixel_values
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>; // [H, S]
@group(0) @binding(2) var<storage, read> bounds: array<vec2<i32>>; // [S]: first, count
@group(0) @binding(3) var<storage, read> weights: array<i32>; // [S, taps]
@group(0) @binding(4) var<storage, read> table: array<f32>; // [2, 3, 256], first index 1 for dark frames
@group(0) @binding(5) var<storage, read> bright: array<u32>;
@group(0) @binding(6) var<storage, read_write> resized: array<u32>; // [S, S]
@group(0) @binding(7) var<storage, read_write> pixel_values: array<f32>; // [T, 3, S, S]

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.size || id.y >= params.size) {
    return;
  }
  let bound = bounds[id.y];
  var sum = vec3<i32>(1 << 21u);
  for (var i = 0u; i < u32(bound.y); i++) {
    let pixel = source[(u32(bound.x) + i) * params.size + id.x];
    sum += vec3<i32>(vec3(pixel, pixel >> 8u, pixel >> 16u) & vec3(0xffu)) * weights[id.y * params.taps + i];
  }
  let out = vec3<u32>(clamp(sum >> vec3(22u), vec3(0), vec3(255)));
  let at = id.y * params.size + id.x;
  resized[at] = out.r | (out.g << 8u) | (out.b << 16u);
  let plane = params.size * params.size;
  let row = select(768u, 0u, bright[0] != 0u);
  pixel_values[params.base + at] = table[row + out.r];
  pixel_values[params.base + plane + at] = table[row + 256u + out.g];
  pixel_values[params.base + 2u * plane + at] = table[row + 512u + out.b];
}
