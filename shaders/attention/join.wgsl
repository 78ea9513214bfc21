// Joins the parts of attention rows whose keys were in several units, by their log-sum-exp.
//
// o = sum(w part_o) / sum(w part_sum) with w = exp(part_max - max), parts in their order: the same bits every time.
// Grid: ceil(joins * Q_HEADS * C / W / 64) workgroups of 64, folded into x and y. A thread has W vec4s of one row and
// head. Memory: every partial result once, o once. Constants: as units.wgsl, and W (a divisor of C).

@group(0) @binding(2) var<storage, read> part_o: array<V4>;            // [partials, Hq, D]
@group(0) @binding(3) var<storage, read> part_stats: array<vec2<f32>>; // [partials, Hq]: max, sum
@group(0) @binding(4) var<storage, read_write> o: array<Q4>;           // [rows, Hq, D]
@group(0) @binding(5) var<storage, read_write> stats: array<V4>;       // as forward.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let thread = id.y * groups.x * 64u + id.x;
  let column = thread % (C / W) * W;
  let head = thread / (C / W) % Q_HEADS;
  let join = thread / (C / W) / Q_HEADS;
  // `units` and `first_unit` are here the number of joins and where they begin: row, first partial, partials, 0.
  if (join >= params.units) {
    return;
  }
  let entry = work[params.first_unit + join];
  let origin = entry.y * Q_HEADS + head;
  var top = LOWEST;
  for (var i = 0u; i < entry.z; i++) {
    top = max(top, part_stats[origin + i * Q_HEADS].x);
  }
  var total = 0.0;
  var values: array<V4, W>;
  for (var c = 0u; c < W; c++) {
    values[c] = V4(0.0);
  }
  for (var i = 0u; i < entry.z; i++) {
    let part = origin + i * Q_HEADS;
    let weight = exp(part_stats[part].x - top);
    total += weight * part_stats[part].y;
    for (var c = 0u; c < W; c++) {
      values[c] += weight * part_o[part * C + column + c];
    }
  }
  let at = entry.x * Q_HEADS + head;
  for (var c = 0u; c < W; c++) {
    o[at * C + column + c] = Q4(values[c] / total);
  }
  if (column == 0u && at < arrayLength(&stats)) {
    stats[at] = V4(top, log(total), 0.0, 0.0);
  }
}
