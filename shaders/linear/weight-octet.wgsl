// Put before the kernels of packed weights: eight neighbouring values of a row of W [N, K], an octet, as f32. The
// kernel's uniform block `p` has k4 (a quarter of K) and blocks (of a row).
//
// q4 and q8: blocks of 32 values with a scale each, in the layout of MatMulNBits (src/gpu/tensor.ts). f16: halves, two a
// word, which needs no shader-f16. The last octet of a row may reach past it: what it gives there is finite, and its
// caller multiplies it by zero or does not write it.
// Loop counts Q4, Q8 and H16: one is 1, the others 0.

struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(2) var<storage, read> w: array<u32>;
#for i in Q4
@group(0) @binding(SCALES) var<storage, read> scales: array<f32>; // [N, blocks]

fn nibbles(word: u32, shift: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> (vec4<u32>(0u, 4u, 8u, 12u) + shift)) & vec4<u32>(15u)) - 8.0;
}

fn octet(row: u32, o: u32) -> Octet {
  let block = row * p.blocks + o / 4u;
  let word = w[4u * block + o % 4u];
  let scale = scales[block];
  return Octet(nibbles(word, 0u) * scale, nibbles(word, 16u) * scale);
}
#end
#for i in Q8
@group(0) @binding(SCALES) var<storage, read> scales: array<f32>; // [N, blocks]

fn octets(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u)) - 128.0;
}

fn octet(row: u32, o: u32) -> Octet {
  let block = row * p.blocks + o / 4u;
  let at = 8u * block + 2u * (o % 4u);
  let scale = scales[block];
  return Octet(octets(w[at]) * scale, octets(w[at + 1u]) * scale);
}
#end
#for i in H16
fn halves(at: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(w[at]), unpack2x16float(w[at + 1u]));
}

fn octet(row: u32, o: u32) -> Octet {
  let at = 2u * (row * p.k4 + 2u * o);
  return Octet(halves(at), halves(at + 2u));
}
#end
