// The sum of squares of a tensor, into sums[slot]. Grid: (1). WG threads take every WG-th element and the first adds up
// what they found, always in the same order. Reads the tensor once. Constant: WG (1 on CPU adapters).

struct Params {
  count: u32,
  slot: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

var<workgroup> parts: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < p.count; i += WG) {
    sum += x[i] * x[i];
  }
  parts[thread] = sum;
  workgroupBarrier();
  if (thread == 0u) {
    for (var i = 1u; i < WG; i++) {
      sum += parts[i];
    }
    sums[p.slot] = sum;
  }
}
