// What the kernels over units share: the work list, and which of a unit's keys a row sees. Put before their code.
//
// Work list (src/attention/work.ts), in vec4<u32>s:
//   unit:   first member, members, first range, ranges
//   member: query row, rows of its own causal segment that it sees, number of its partial result or NONE,
//           1 where a unit of an earlier dispatch has the row too
//   range:  first KV row of the window, rows, place of the first in its segment, 1 where it is the rows' own causal segment
// The query heads of a KV head are packed with a unit's rows into "virtual rows": member * GROUP + head.
// Constants: D, Q_HEADS, KV_HEADS; ROLLED, 1 where loops over a head are to stay loops; element types Q4 (rows' tensors)
// and K4 (the KV storage), vec4 of f32 or f16.

alias V4 = vec4<f32>;
alias U4 = vec4<u32>;

struct Params {
  scale: f32,
  units: u32,      // of this dispatch
  first_unit: u32,
  members: u32,    // where members and
  ranges: u32,     // ranges begin
  parts: u32,      // threads, or workgroups, that share a unit's rows; the rows of a smaller unit end before
}

const C: u32 = D / 4u;
const GROUP: u32 = Q_HEADS / KV_HEADS;
const LOWEST: f32 = -3.0e38;
const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> work: array<U4>;

/// C, as the end of a loop over a head. Where ROLLED, the compiler cannot know it: one that unrolls such loops (Mesa's
/// lavapipe) takes minutes for what takes it seconds.
fn head_end() -> u32 {
  return select(C, C | (params.units >> 31u), ROLLED == 1u);
}

/// Keys of a range that a row sees, from its first.
fn seen(range: U4, member: U4) -> u32 {
  return select(range.y, min(range.y, max(member.y, range.z) - range.z), range.w == 1u);
}
