import { describe, expect, it } from 'vitest';
import { countPasses, visiblePairs } from '../../src/bench/count-operations';
import { MODEL_TRAINING, repeatedBatch, SMALL_TRAINING, sharedBatch } from '../../src/bench/training-scene';
import { policyBatch } from '../../src/grpo/policy-batch';

const SHAPE = {
  hidden_size: 4,
  intermediate_size: 6,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 2,
  rms_norm_eps: 1e-6,
  vocab_size: 10,
  num_hidden_layers: 2,
};

describe('counting operations', () => {
  // Two answers, of 3 tokens and of 1, under 5 rows: rows 0..4 and two of the first answer.
  const batch = policyBatch(5, [[1, 2, 3], [4]]);

  it('counts the keys that each row sees', () => {
    expect(visiblePairs(batch, batch.runs)).toBe(1 + 2 + 3 + 4 + 5 + 6 + 7);
    expect(visiblePairs(batch, batch.scored_runs)).toBe(5 + 6 + 7);
  });

  it('counts what is computed, by hand', () => {
    const { forward, backward } = countPasses(SHAPE, 1, batch);
    const head = 4 * 4 * 10;
    // 7 rows, 3 of them scored. Layer 0, with LoRA: q 16 + 8, k and v 8 + 6 each, o 16 + 8, gate and up 24 + 10, down.
    const first = 7 * (24 + 2 * 14 + 24 + 2 * 34 + 34);
    const last = 3 * (24 + 24 + 2 * 34 + 34) + 7 * 2 * 14;
    const scores = [4 * 28, 4 * 18];
    expect(forward).toBe(head + first + last + 2 * (scores[0]! + scores[1]!));
    // Again: all but down_proj, of which A (width 6) alone.
    const again = first - 7 * (34 - 6) + last - 3 * (34 - 6);
    // dy B, dB, dA: A's inputs and twice B's outputs.
    const lora =
      7 * (4 + 8 + 2 * (4 + 4) + 4 + 8 + 2 * (4 + 12) + 6 + 8) +
      3 * (4 + 8 + 4 + 8 + 2 * (4 + 12) + 6 + 8) +
      7 * 2 * (4 + 4);
    // Through W and A: of layer 0 not q, k, v.
    const gradient =
      7 * (16 + 4 + 2 * (24 + 4) + 24 + 6) + 3 * (16 + 4 + 16 + 4 + 2 * (24 + 4) + 24 + 6) + 7 * 2 * (8 + 4);
    expect(backward).toBe(2 * head + again + lora + gradient + 9 * (scores[0]! + scores[1]!));
  });

  it('sees nothing to share under one answer', () => {
    const one = { ...SMALL_TRAINING, answers: 1 };
    expect(countPasses(one.text, 8, sharedBatch(one))).toEqual(countPasses(one.text, 8, repeatedBatch(one)));
  });

  it('agrees with the design for the published model: 46 TFLOP shared, 127 repeated', () => {
    // Without head and adapter, all rows through all layers, attention left out: so the design's are a little off.
    const text = { ...MODEL_TRAINING.text, num_hidden_layers: 36, vocab_size: 0 };
    const flop = [sharedBatch(MODEL_TRAINING), repeatedBatch(MODEL_TRAINING)].map((tree) => {
      const { forward, backward } = countPasses(text, 0, tree);
      return (2 * (forward + backward)) / 1e12;
    });
    expect(Math.abs(flop[0]! / 46 - 1)).toBeLessThan(0.12);
    expect(Math.abs(flop[1]! / 127 - 1)).toBeLessThan(0.12);
  });
});
