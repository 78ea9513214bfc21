// What the backward kernels of tiles share: a workgroup's OWN rows of one side (queries or keys) against OTHER rows of the
// other side, through workgroup memory, a CHUNK of the head at a time.
//
// The kernel says what the sides are: own_at and other_at give where a row begins (in heads), own_a and own_b, other_a and
// other_b load a vec4 of it: `a` of the tensors whose product are the scores, `b` of those of dp.
// Workgroup memory: 2 (OWN + OTHER) (CHUNK + 1) vectors. Constants: OWN, LANES, PER, CHUNK,
// CPT = ceil(C / LANES): vec4s of the head that a thread adds up.

const QUADS: u32 = OWN / 4u;
const OTHER: u32 = LANES * PER;
const THREADS: u32 = LANES * QUADS;
const STRIDE: u32 = CHUNK + 1u; // one more keeps neighbouring threads on different banks

var<workgroup> tile_own_a: array<V4, OWN * STRIDE>;
var<workgroup> tile_own_b: array<V4, OWN * STRIDE>;
var<workgroup> tile_other_a: array<V4, OTHER * STRIDE>;
var<workgroup> tile_other_b: array<V4, OTHER * STRIDE>;

/// Products of own rows 4 quad .. 4 quad + 3 with the rows of the other side at lane, lane + LANES, ..
struct Scores {
  s: array<V4, PER>,
  dp: array<V4, PER>,
}

/// `own` and `other`: where rows begin, the first, the last (those past it repeat it), KV head; as the kernel's own_at and
/// other_at take them. Ends behind a barrier.
fn scores_of(own: U4, other: U4, thread: u32) -> Scores {
  let lane = thread % LANES;
  let quad = thread / LANES;
#for b in PER
  var s$b = V4(0.0);
  var dp$b = V4(0.0);
#end
  for (var chunk = 0u; chunk < C; chunk += CHUNK) {
    for (var i = thread; i < OWN * CHUNK; i += THREADS) {
      let c = chunk + i % CHUNK;
      let source = own_at(own, i / CHUNK) * C + min(c, C - 1u);
      tile_own_a[i / CHUNK * STRIDE + i % CHUNK] = select(V4(0.0), own_a(source), c < C);
      tile_own_b[i / CHUNK * STRIDE + i % CHUNK] = select(V4(0.0), own_b(source), c < C);
    }
    for (var i = thread; i < OTHER * CHUNK; i += THREADS) {
      let source = other_at(other, i / CHUNK) * C + min(chunk + i % CHUNK, C - 1u);
      tile_other_a[i / CHUNK * STRIDE + i % CHUNK] = other_a(source);
      tile_other_b[i / CHUNK * STRIDE + i % CHUNK] = other_b(source);
    }
    workgroupBarrier();
    for (var c = 0u; c < CHUNK; c++) {
#for r in 4
      let a$r = tile_own_a[(4u * quad + $ru) * STRIDE + c];
      let b$r = tile_own_b[(4u * quad + $ru) * STRIDE + c];
#end
#for b in PER
      let x$b = tile_other_a[(lane + $bu * LANES) * STRIDE + c];
      let y$b = tile_other_b[(lane + $bu * LANES) * STRIDE + c];
      s$b += V4(dot(a0, x$b), dot(a1, x$b), dot(a2, x$b), dot(a3, x$b));
      dp$b += V4(dot(b0, y$b), dot(b1, y$b), dot(b2, y$b), dot(b3, y$b));
#end
    }
    workgroupBarrier();
  }
  var scores: Scores;
#for b in PER
  scores.s[$b] = s$b;
  scores.dp[$b] = dp$b;
#end
  return scores;
}
