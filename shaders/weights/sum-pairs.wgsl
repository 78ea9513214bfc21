// totals[slot] = sum of pairs[0..count): what the workgroups of quantise.wgsl found.
//
// Grid: one workgroup of 64; a thread takes every 64th pair, the first adds up the 64 sums. Always in the same order.

struct Params {
  count: u32,
  slot: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> pairs: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> totals: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec2<f32>(0.0);
  for (var i = thread; i < p.count; i += 64u) {
    sum += pairs[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0u) {
    var total = vec2<f32>(0.0);
    for (var i = 0u; i < 64u; i++) {
      total += sums[i];
    }
    totals[p.slot] = total;
  }
}
