// One token from each row of logits: temperature, then top-k, top-p and min-p, then the inverse of the distribution
// function at a counter-based random number. temperature 0 takes the largest logit. Ties: the lowest id is first.
//
// Grid: (rows), one workgroup of WG threads a row. Nothing is sorted: the k-th largest logit and the edge of the
// nucleus are found bit by bit over the logits' bits (made to ascend), so the sets are exact. Every sum is taken in
// a fixed order: two runs give the same bits.
// Memory: the row is read 14 times, 33 times more for top-k and for top-p each; small rows stay in the cache.
// What threads tell each other goes through workgroup memory; where a subgroup surely holds LANES threads (SUBGROUP) they
// first add up by shuffles, and one of them goes on.
// Constants: WG; LANES (a power of 2, a divisor of WG; 1 without subgroups); count SUBGROUP.
// Limits: vocabulary below 2^24 (counts are summed as f32). Logits of -inf never come out. NaN and +inf, or nothing
// finite, give token -1 and a status. Logits beyond +-1e30 count as +-1e30 in probabilities.

const ROWS: u32 = 14u; // rows of a dispatch, so that the uniform block stays within 256 bytes
const TOP: u32 = 8u;
const RECORD: u32 = 24u; // words: src/generate/sampler.ts
const LOWEST_KEY: u32 = 0x007fffffu; // of -inf

struct Params {
  temperature: f32,
  top_p: f32,
  top_k: u32,
  vocab: u32,
  first_row: u32,
  seed_low: u32,
  seed_high: u32,
  log_min_p: f32, // the lowest float there is where min_p is 0
  rows: array<vec4<u32>, ROWS>, // question, sample, position, 1 where the row is alive
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;          // f32 bits, [B, V]
@group(0) @binding(2) var<storage, read_write> tokens: array<i32>;    // [B]
@group(0) @binding(3) var<storage, read_write> records: array<u32>;   // [B, RECORD]

var<workgroup> parts: array<vec4<f32>, WG>;
var<workgroup> lane_sums: array<vec4<f32>, WG / LANES>;
var<workgroup> keys: array<vec2<u32>, WG / LANES>;
var<workgroup> status: u32;
var<workgroup> edge: u32;

// f32 bits as a number that ascends with the value; 0 and -0 are equal.
fn key_of(bits: u32) -> u32 {
  let b = select(bits, 0u, bits == 0x80000000u);
  return select(b | 0x80000000u, ~b, (b & 0x80000000u) != 0u);
}

fn value_of(key: u32) -> f32 {
  let bits = select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
  return clamp(bitcast<f32>(bits), -1e30, 1e30);
}

// Whether a key holds min_p of the largest one's probability. The largest always does.
fn is_likely(key: u32, largest: f32) -> bool {
  return (value_of(key) - largest) / params.temperature >= params.log_min_p;
}

// Sum over the workgroup, the same for all threads.
fn total(mine: vec4<f32>, thread: u32) -> vec4<f32> {
  var x = mine;
#for s in SUBGROUP
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    x += subgroupShuffleXor(x, step);
  }
#end
  workgroupBarrier();
  if (thread % LANES == 0u) {
    lane_sums[thread / LANES] = x;
  }
  workgroupBarrier();
  var sum = vec4<f32>(0.0);
  for (var t = 0u; t < WG / LANES; t++) {
    sum += lane_sums[t];
  }
  return sum;
}

// The same, in the order of threads, and leaves in `parts` what each of them has.
fn total_of_parts(mine: vec4<f32>, thread: u32) -> vec4<f32> {
  workgroupBarrier();
  parts[thread] = mine;
  workgroupBarrier();
  var sum = vec4<f32>(0.0);
  for (var t = 0u; t < WG; t++) {
    sum += parts[t];
  }
  return sum;
}

// Of two (key, id) the one with the larger key, of equal ones the one with the lower id.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}

// The best over the workgroup.
fn best(mine: vec2<u32>, thread: u32) -> vec2<u32> {
  var found = mine;
#for s in SUBGROUP
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    found = better(found, subgroupShuffleXor(found, step));
  }
#end
  workgroupBarrier();
  if (thread % LANES == 0u) {
    keys[thread / LANES] = found;
  }
  workgroupBarrier();
  found = keys[0];
  for (var t = 1u; t < WG / LANES; t++) {
    found = better(found, keys[t]);
  }
  return found;
}

// Philox4x32-10 (Salmon et al. 2011): src/generate/random.ts is the same.
fn high_product(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var x = counter;
  var key = seed;
  for (var round = 0u; round < 10u; round++) {
    x = vec4<u32>(
      high_product(0xCD9E8D57u, x.z) ^ x.y ^ key.x,
      0xCD9E8D57u * x.z,
      high_product(0xD2511F53u, x.x) ^ x.w ^ key.y,
      0xD2511F53u * x.x,
    );
    key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
  }
  return x;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let place = params.rows[group.x];
  if (place.w == 0u) {
    return;
  }
  let row = params.first_row + group.x;
  let V = params.vocab;
  let at = row * V;
  let record = row * RECORD;
  let greedy = params.temperature == 0.0;
  let per_temperature = select(1.0 / params.temperature, 1.0, greedy);

  // What cannot be sampled from.
  var seen = vec4<f32>(0.0); // NaN, +inf, finite
  for (var i = thread; i < V; i += WG) {
    let bits = logits[at + i];
    let magnitude = bits & 0x7fffffffu;
    seen.x += select(0.0, 1.0, magnitude > 0x7f800000u);
    seen.y += select(0.0, 1.0, bits == 0x7f800000u);
    seen.z += select(0.0, 1.0, magnitude < 0x7f800000u);
  }
  let counts = total(seen, thread);
  if (thread == 0u) {
    status = select(0u, 1u, counts.x > 0.0) | select(0u, 2u, counts.y > 0.0) | select(0u, 4u, counts.z == 0.0);
    records[record] = status;
  }
  if (workgroupUniformLoad(&status) != 0u) {
    if (thread == 0u) {
      tokens[row] = -1;
      records[record + 1u] = 0xffffffffu;
    }
    for (var i = 2u + thread; i < RECORD; i += WG) {
      records[record + i] = select(0u, 0xffffffffu, i >= 8u && i < 8u + TOP);
    }
    return;
  }

  // The largest logits, one after the other.
  var top_key = 0u;
  var last = vec2<u32>(0xffffffffu, 0u);
  var first_id = 0u;
  for (var n = 0u; n < TOP; n++) {
    var mine = vec2<u32>(0u, 0xffffffffu);
    for (var i = thread; i < V; i += WG) {
      let key = key_of(logits[at + i]);
      let after = n == 0u || key < last.x || (key == last.x && i > last.y);
      if (after && key > LOWEST_KEY && key > mine.x) {
        mine = vec2<u32>(key, i);
      }
    }
    last = best(mine, thread);
    if (n == 0u) {
      top_key = last.x;
      first_id = last.y;
    }
    if (thread == 0u) {
      records[record + 8u + n] = last.y;  // -1 where there are fewer
      records[record + 16u + n] = last.x; // the key for now
    }
  }
  let largest = value_of(top_key);

  // Sums over the whole vocabulary: of exp at temperature 1, at the temperature, and for the entropy.
  // In blocks of 32, so that a long row does not lose digits.
  var sums = vec4<f32>(0.0);
  for (var block = thread; block < V; block += 32u * WG) {
    var part = vec4<f32>(0.0);
    for (var i = block; i < min(block + 32u * WG, V); i += WG) {
      let key = key_of(logits[at + i]);
      if (key > LOWEST_KEY) {
        let d = value_of(key) - largest;
        let w = exp(d * per_temperature);
        part += vec4<f32>(exp(d), w, w * d * per_temperature, 0.0);
      }
    }
    sums += part;
  }
  let whole = total(sums, thread);

  // The k-th largest key, and how many of its equals are in.
  var low = LOWEST_KEY + 1u;
  var ties = f32(V);
  var kept_mass = whole.y;
  if (params.top_k > 0u && !greedy) {
    let k = min(f32(params.top_k), counts.z);
    low = 0u;
    for (var n = 0u; n < 32u; n++) {
      let probe = low | (0x80000000u >> n);
      var mine = 0.0;
      for (var i = thread; i < V; i += WG) {
        mine += select(0.0, 1.0, key_of(logits[at + i]) >= probe);
      }
      if (total(vec4<f32>(mine, 0.0, 0.0, 0.0), thread).x >= k) {
        low = probe;
      }
    }
    var above = vec4<f32>(0.0);
    for (var i = thread; i < V; i += WG) {
      let key = key_of(logits[at + i]);
      if (key > low) {
        above += vec4<f32>(1.0, exp((value_of(key) - largest) * per_temperature), 0.0, 0.0);
      }
    }
    let up = total(above, thread);
    ties = k - up.x;
    kept_mass = up.y + ties * exp((value_of(low) - largest) * per_temperature);
  }

  // The edge of the nucleus: the largest key whose equals and betters hold top_p of the mass.
  if (params.top_p < 1.0 && !greedy) {
    let wanted = params.top_p * kept_mass;
    var nucleus = 0u;
    for (var n = 0u; n < 32u; n++) {
      let probe = nucleus | (0x80000000u >> n);
      var mine = 0.0;
      for (var i = thread; i < V; i += WG) {
        let key = key_of(logits[at + i]);
        if (key >= probe && key > LOWEST_KEY) {
          mine += exp((value_of(key) - largest) * per_temperature);
        }
      }
      if (total(vec4<f32>(mine, 0.0, 0.0, 0.0), thread).x >= wanted) {
        nucleus = probe;
      }
    }
    // top_p 0 is met by any key, so the search runs past the largest; rounding may let it stop below top-k's edge.
    nucleus = clamp(nucleus, low, top_key);
    var above = vec4<f32>(0.0);
    for (var i = thread; i < V; i += WG) {
      let key = key_of(logits[at + i]);
      above.x += select(0.0, 1.0, key == nucleus);
      if (key > nucleus) {
        above.y += exp((value_of(key) - largest) * per_temperature);
      }
    }
    let up = total(above, thread);
    let each = exp((value_of(nucleus) - largest) * per_temperature);
    let most = select(up.x, ties, nucleus == low && params.top_k > 0u);
    ties = clamp(ceil((wanted - up.y) / each), 1.0, max(1.0, most));
    low = nucleus;
  }
  if (greedy) {
    low = top_key;
    ties = 1.0;
  }

  // Which of the equals at the edge are in: the lowest ids. Threads have runs of ids here.
  let run = (V + WG - 1u) / WG;
  let run_from = min(thread * run, V);
  let run_to = min(run_from + run, V);
  var at_edge = 0.0;
  for (var i = run_from; i < run_to; i++) {
    at_edge += select(0.0, 1.0, key_of(logits[at + i]) == low);
  }
  if (thread == 0u) {
    edge = V;
  }
  let all_at_edge = total_of_parts(vec4<f32>(at_edge, 0.0, 0.0, 0.0), thread).x;
  var before = 0.0;
  for (var t = 0u; t < thread; t++) {
    before += parts[t].x;
  }
  if (before < ties && before + at_edge >= ties && all_at_edge > ties) {
    for (var i = run_from; i < run_to; i++) {
      if (key_of(logits[at + i]) == low) {
        before += 1.0;
        if (before == ties) {
          edge = i;
        }
      }
    }
  }
  let last_tie = workgroupUniformLoad(&edge);

  // The mass that is left, by run, and the token where the random share of it is passed.
  var mine = vec4<f32>(0.0);
  for (var i = run_from; i < run_to; i++) {
    let key = key_of(logits[at + i]);
    if ((key > low || (key == low && i <= last_tie)) && (greedy || is_likely(key, largest))) {
      mine += vec4<f32>(exp((value_of(key) - largest) * per_temperature), 1.0, 0.0, 0.0);
    }
  }
  let kept = total_of_parts(mine, thread);
  let random = philox(vec4<u32>(place.x, place.y, place.z, 0u), vec2<u32>(params.seed_low, params.seed_high));
  let goal = f32(random.x >> 8u) * 0x1p-24 * kept.x;
  // All threads walk the same sums. The last run with any mass takes what rounding has left.
  var passed = 0.0;
  var start = 0.0;
  var chosen_run = 0u;
  for (var t = 0u; t < WG; t++) {
    if (parts[t].x > 0.0 && passed <= goal) {
      chosen_run = t;
      start = passed;
    }
    passed += parts[t].x;
  }
  if (thread == chosen_run) {
    var sum = start;
    var found = first_id;
    var done = greedy;
    for (var i = run_from; i < run_to; i++) {
      let key = key_of(logits[at + i]);
      if (!done && (key > low || (key == low && i <= last_tie)) && is_likely(key, largest)) {
        let w = exp((value_of(key) - largest) * per_temperature);
        if (w > 0.0) {
          found = i;
          sum += w;
          done = sum > goal;
        }
      }
    }
    edge = found;
  }
  let token = workgroupUniformLoad(&edge);

  let token_key = key_of(logits[at + token]);
  var ahead = 0.0;
  for (var i = thread; i < V; i += WG) {
    let key = key_of(logits[at + i]);
    ahead += select(0.0, 1.0, key > token_key || (key == token_key && i < token));
  }
  let rank = total(vec4<f32>(ahead, 0.0, 0.0, 0.0), thread).x;
  if (thread == 0u) {
    let d = value_of(token_key) - largest;
    tokens[row] = i32(token);
    records[record + 1u] = token;
    records[record + 2u] = bitcast<u32>(d - log(whole.x));
    records[record + 3u] = bitcast<u32>(max(0.0, log(whole.y) - whole.z / whole.y));
    records[record + 4u] = u32(rank);
    records[record + 5u] = u32(kept.y);
    records[record + 6u] = bitcast<u32>(min(0.0, d * per_temperature - log(kept.x)));
    records[record + 7u] = bitcast<u32>(exp(d * per_temperature) / whole.y);
    for (var n = 0u; n < TOP; n++) {
      let key = records[record + 16u + n];
      let p = exp((value_of(key) - largest) * per_temperature) / whole.y;
      records[record + 16u + n] = bitcast<u32>(select(0.0, p, key > 0u));
    }
  }
}
