import { expect, it } from 'vitest';
import { attentionBackwardReference } from '../../src/attention/backward-reference';
import { attentionReference } from '../../src/attention/reference';
import { normals, randomAttention } from '../support/attention-cases';

it('the reference gradients are those of central differences', () => {
  const shape = { q_heads: 4, kv_heads: 2, head_dim: 8 };
  for (let seed = 1; seed <= 6; seed++) {
    const { tree, runs, rows, random } = randomAttention(seed);
    const q = Float64Array.from(normals(random, rows * 32));
    const k = Float64Array.from(normals(random, tree.capacity * 16));
    const v = Float64Array.from(normals(random, tree.capacity * 16));
    const d_o = Float64Array.from(normals(random, rows * 32));
    const loss = () =>
      attentionReference(shape, tree, runs, q, k, v).o.reduce((sum, x, i) => sum + x * d_o[i]!, 0);
    const gradients = attentionBackwardReference(shape, tree, runs, q, k, v, d_o);
    for (const [values, gradient] of [
      [q, gradients.dq],
      [k, gradients.dk],
      [v, gradients.dv],
    ] as const) {
      for (let n = 0; n < 12; n++) {
        const i = Math.floor(random() * values.length);
        const kept = values[i]!;
        values[i] = kept + 1e-5;
        const up = loss();
        values[i] = kept - 1e-5;
        const down = loss();
        values[i] = kept;
        expect(Math.abs((up - down) / 2e-5 - gradient[i]!), `seed ${seed}`).toBeLessThan(1e-7);
      }
    }
  }
});
