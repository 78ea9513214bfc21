// A decoded frame's planes -> RGB bytes [OH, OW], one u32 a pixel (R in the low byte, top byte 0), turned upright.
//
// Constants: KIND 0 Y'CbCr as swscale, 1 Y'CbCr interpolated and rounded, 2 RGBA, 3 BGRA, 4 planar GBR; TURN quarter
// turns clockwise; SAMPLE_BYTES; SHIFT_X, SHIFT_Y log2 of the chroma subsampling; SPREAD_X 1 where chroma is
// interpolated along rows. One pipeline for each, as branches on uniforms cost several times the arithmetic.
// Grid: ceil(OW / 8) x ceil(OH / 8) workgroups of 8 x 8, one pixel an invocation; OW x OH is the turned size.
// Traffic: reads each luma byte once and each chroma byte up to four times (from cache), writes 4 bytes a pixel.
// 8-bit 4:2:0 and 4:2:2 of even height follow FFmpeg's swscale bit for bit (chroma repeated, not interpolated; 13-bit
// coefficients; products cut to 16 bits before they are added): the original's reader converts so. Others take
// swscale's general path, here in f32 and rounded: chroma interpolated down the columns, along the rows repeated
// unless the width is odd.

struct Params {
  width: u32, // of the planes, before the turn
  height: u32,
  y_offset: u32, // bytes
  y_stride: u32,
  u_offset: u32,
  v_offset: u32,
  c_stride: u32,
  c_step: u32, // bytes from one chroma sample to the next
  y_zero: i32, // black of 8-bit luma: 16 or 0
  luma: i32, // coefficients, 2^13 = 1
  cr_to_r: i32,
  cb_to_b: i32,
  cb_to_g: i32,
  cr_to_g: i32,
  to_8_bits: f32, // factor from the sample's depth
  middle: f32, // zero of chroma in the sample's depth
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read_write> rgb: array<u32>;
@group(0) @binding(3) var<storage, read_write> bright: array<atomic<u32>>; // [0] becomes 1 where a value exceeds 1

fn sample(offset: u32) -> u32 {
  let word = planes[offset >> 2u] >> ((offset & 3u) * 8u);
  return select(word & 0xffu, word & 0xffffu, SAMPLE_BYTES == 2u);
}

fn swscale(y: i32, u: i32, v: i32) -> vec3<i32> {
  let base = ((y - params.y_zero) * 8 * params.luma) >> 16u;
  let cb = (u - 128) * 8;
  let cr = (v - 128) * 8;
  return vec3(
    base + ((cr * params.cr_to_r) >> 16u),
    base + ((cb * params.cb_to_g) >> 16u) + ((cr * params.cr_to_g) >> 16u),
    base + ((cb * params.cb_to_b) >> 16u),
  );
}

// swscale's bicubic filter: B = 0, C = 0.6.
fn cubic(x: f32) -> f32 {
  let d = abs(x);
  if (d < 1.0) {
    return (1.4 * d - 2.4) * d * d + 1.0;
  }
  return select(0.0, ((-0.6 * d + 3.0) * d - 4.8) * d + 2.4, d < 2.0);
}

// Where a pixel of `pixels` lies among the chroma samples of its row or column, which are spread over the same length.
fn chroma_position(at: u32, pixels: u32, shift: u32) -> f32 {
  let samples = (pixels + (1u << shift) - 1u) >> shift;
  return (f32(at) + 0.5) * f32(samples) / f32(pixels) - 0.5;
}

fn chroma_across(row: u32, at_x: u32) -> f32 {
  if (SPREAD_X == 0u) {
    return f32(sample(row + (at_x >> SHIFT_X) * params.c_step));
  }
  let position = chroma_position(at_x, params.width, SHIFT_X);
  let last = i32((params.width - 1u) >> SHIFT_X);
  let first = i32(floor(position)) - 1;
  var sum = 0.0;
  for (var i = first; i < first + 4; i++) {
    sum += cubic(f32(i) - position) * f32(sample(row + u32(clamp(i, 0, last)) * params.c_step));
  }
  return sum;
}

fn chroma(offset: u32, at: vec2<u32>) -> f32 {
  if (SHIFT_Y == 0u) {
    return chroma_across(offset + at.y * params.c_stride, at.x);
  }
  let position = chroma_position(at.y, params.height, SHIFT_Y);
  let last = i32((params.height - 1u) >> SHIFT_Y);
  let first = i32(floor(position)) - 1;
  var sum = 0.0;
  for (var i = first; i < first + 4; i++) {
    sum += cubic(f32(i) - position) * chroma_across(offset + u32(clamp(i, 0, last)) * params.c_stride, at.x);
  }
  return sum;
}

fn rounded(y: u32, u: f32, v: f32) -> vec3<i32> {
  let base = (f32(y) * params.to_8_bits - f32(params.y_zero)) * f32(params.luma);
  let scale = params.to_8_bits;
  let zero = params.middle * scale;
  let cb = u * scale - zero;
  let cr = v * scale - zero;
  let sum = vec3(
    base + cr * f32(params.cr_to_r),
    base + cb * f32(params.cb_to_g) + cr * f32(params.cr_to_g),
    base + cb * f32(params.cb_to_b),
  );
  return vec3<i32>(floor(sum / 8192.0 + 0.5));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let sideways = (TURN & 1u) == 1u;
  let out_width = select(params.width, params.height, sideways);
  let out_height = select(params.height, params.width, sideways);
  if (id.x >= out_width || id.y >= out_height) {
    return;
  }
  var at = id.xy;
  switch (TURN) {
    case 1u: { at = vec2(id.y, params.height - 1u - id.x); }
    case 2u: { at = vec2(params.width - 1u - id.x, params.height - 1u - id.y); }
    case 3u: { at = vec2(params.width - 1u - id.y, id.x); }
    default: {}
  }
  var colour: vec3<i32>;
  if (KIND == 2u || KIND == 3u) {
    let pixel = planes[(params.y_offset + at.y * params.y_stride) / 4u + at.x];
    let bytes = vec3<i32>(vec3(pixel, pixel >> 8u, pixel >> 16u) & vec3(0xffu));
    colour = select(bytes, bytes.zyx, KIND == 3u);
  } else {
    let y = sample(params.y_offset + at.y * params.y_stride + at.x * SAMPLE_BYTES);
    let c = (at.y >> SHIFT_Y) * params.c_stride + (at.x >> SHIFT_X) * params.c_step;
    let u = sample(params.u_offset + c);
    let v = sample(params.v_offset + c);
    if (KIND == 4u) {
      colour = vec3<i32>(floor(vec3(f32(v), f32(y), f32(u)) * params.to_8_bits + 0.5));
    } else if (KIND == 1u) {
      colour = rounded(y, chroma(params.u_offset, at), chroma(params.v_offset, at));
    } else {
      colour = swscale(i32(y), i32(u), i32(v));
    }
  }
  let out = vec3<u32>(clamp(colour, vec3(0), vec3(255)));
  // Looked at first: all pixels storing to one place would queue up.
  if (any(out > vec3(1u)) && atomicLoad(&bright[0]) == 0u) {
    atomicStore(&bright[0], 1u);
  }
  rgb[id.y * out_width + id.x] = out.r | (out.g << 8u) | (out.b << 16u);
}
