import { AnswerTree, type Branch } from '../generate/answer-tree';
import type { Gpu } from '../gpu/device';
import { KvCache, type KvShape } from '../model/kv-cache';

/** The published model's heads; of its 36 layers a few, as memory is the same in each. */
const SHAPE: KvShape = { num_hidden_layers: 2, num_key_value_heads: 2, head_dim: 128 };

/**
 * GPU memory that the cache of a group takes once G answers of R tokens are written under a prefix of P rows, by the
 * ideal of P + G x R rows. Counted from the buffers, through the rollouts' own allocation, token by token.
 */
export function kvMemoryByIdeal(gpu: Gpu, prefix: number, answers: number, tokens: number): number {
  const before = gpu.memory.bytes;
  const language = { createCache: (rows: number) => new KvCache(gpu, SHAPE, rows) };
  const tree = new AnswerTree(language, [{ prompt_ids: new Int32Array(prefix), rows: prefix }], undefined);
  const root = tree.roots[0]!;
  try {
    tree.cache.tree.append(root, prefix);
    const branches: Branch[] = Array.from({ length: answers }, (_, i) => tree.branch(i, [], root));
    for (let token = 0; token < tokens; token++) {
      tree.makeRoom(branches, tokens - token);
      for (const { leaf } of branches) tree.cache.tree.append(leaf, 1);
    }
    const ideal = (prefix + answers * tokens) * tree.cache.rowBytes;
    return (gpu.memory.bytes - before) / ideal;
  } finally {
    tree.destroy();
  }
}
