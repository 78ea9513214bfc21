import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runVerify } from '../../src/cli/verify/run';
import type { Gpu } from '../../src/gpu/device';
import { memorySource } from '../../src/weights/byte-source';
import type { FileStore } from '../../src/weights/file-store';
import { readSafetensorsHeader } from '../../src/weights/safetensors';
import { goldenBytes, goldenStore } from '../support/golden';
import { sharedGpu } from '../support/shared-gpu';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
});
afterAll(() => gpu?.close());

const MODEL_STAGES = [
  'vision.hidden.0',
  'vision.hidden.1',
  'vision.hidden.2',
  'vision.selected',
  'connector.linear',
  'connector.before_pe',
  'connector.position_encoding',
  'connector.output',
  'connector.short1',
  'connector.short3',
  'lm.inputs_embeds',
  'lm.hidden.0',
  'lm.hidden.1',
  'lm.hidden.2',
  'lm.hidden.3',
  'lm.final_norm',
  'lm.logits',
  'lm.completion_logps',
  'lm.greedy_ids',
  'lm.text_only.greedy_ids',
  'lm.batch.label_logps',
  'lm.batch.loss',
];
const OTHER_STAGES = [
  'preprocessing.frame_indices',
  'preprocessing.resized',
  'preprocessing.pixel_values',
  'preprocessing.dark',
  'preprocessing.shrink',
  'preprocessing.full384',
  'text.encode',
  'text.decode',
  'text.templates',
  'connector.group_sizes',
  'attention.mha_causal_d32.o',
  'attention.mha_full_d72.lse',
  'attention.full_cross_d64_q2.o',
  'attention.prefix1.o',
  'attention.prefix2.lse',
  'attention.prefix1.dk',
  'attention.prefix2.dv',
  'attention.gqa8_d128_q7_prefix.dq',
];
const GRPO_STAGES = [
  'grpo.rewards',
  'grpo.advantages',
  'grpo.advantages.noise',
  'grpo.kl_table',
  'grpo.loss',
  'grpo.loss.d_logps',
  'grpo.trl.dapo.beta0.04.off_policy',
  'grpo.trl.grpo.sequence_level.d_logps',
];
const POLICY_STAGES = [
  'adapter.names',
  'adapter.weights',
  'adapter.config',
  'adapter.exported',
  'grpo.policy_logps',
  'grpo.ref_logps',
  'grpo.per_token_kl',
  'grpo.gradients.self_attn.q_proj.lora_A',
  'grpo.gradients.mlp.down_proj.lora_B',
  'grpo.gradients.norm',
];
const BF16_STAGES = [
  'connector.output',
  'lm.logits',
  'lm.completion_logps',
  'lm.greedy_ids',
  'lm.text_only.greedy_ids',
];

/** A store whose `file` has 0.5 added to the first element of the F32 tensor `tensor`. */
async function damaged(store: FileStore, path: string, file: string, tensor: string): Promise<FileStore> {
  const bytes = await goldenBytes(path);
  const { tensors } = await readSafetensorsHeader(memorySource(file, bytes));
  const view = new DataView(bytes.buffer);
  const { start } = tensors.get(tensor)!;
  view.setFloat32(start, view.getFloat32(start, true) + 0.5, true);
  const source = memorySource(file, bytes);
  return { ...store, open: async (name) => (name === file ? source : store.open(name)) };
}

// With the backend that the page would choose; the tests of the model's parts run both.
describe('verify', { timeout: 300_000 }, () => {
  it.each([
    ['F32', 'checkpoint', undefined, [...MODEL_STAGES, ...OTHER_STAGES, ...GRPO_STAGES, ...POLICY_STAGES]],
    ['BF16', 'checkpoint', 'model-bf16.safetensors', [...BF16_STAGES, ...OTHER_STAGES]],
    ['sharded', 'checkpoint/sharded', undefined, [...BF16_STAGES, ...OTHER_STAGES]],
  ] as const)('finds all of the %s checkpoint within tolerance', async (_, folder, weights, expected) => {
    const notes: string[] = [];
    const report = await runVerify({
      gpu,
      checkpoint: await goldenStore(folder),
      reference: await goldenStore(''),
      ...(weights ? { weights } : {}),
      onNote: (note) => void notes.push(note),
    });
    expect(report.stages.filter((stage) => !stage.ok)).toEqual([]);
    expect(report.ok).toBe(true);
    const names = report.stages.map((stage) => stage.name);
    for (const name of expected) expect(names).toContain(name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, tolerance } of report.stages) {
      const equal = /^(preprocessing|text|adapter)\.|greedy_ids|group_sizes|^grpo\.rewards/.test(name);
      if (equal) expect([name, tolerance]).toEqual([name, 0]);
      else expect(tolerance, name).toBeLessThanOrEqual(/gradients|adamw/.test(name) ? 1e-4 : 2e-5);
    }
    if (folder.endsWith('sharded')) expect(notes.join()).toContain('has no tokenizer');
  });

  it('fails where a weight is damaged, and where a reference is', async () => {
    const checkpoint = await damaged(
      await goldenStore(),
      'checkpoint/model.safetensors',
      'model.safetensors',
      'language_model.model.layers.1.input_layernorm.weight',
    );
    const reference = await damaged(
      await goldenStore(''),
      'vision.safetensors',
      'vision.safetensors',
      'vision.hidden.1',
    );
    const report = await runVerify({ gpu, checkpoint, reference });
    expect(report.ok).toBe(false);
    const failed = report.stages.filter((stage) => !stage.ok).map((stage) => stage.name);
    expect(failed.filter((name) => !/^(lm|grpo)\./.test(name))).toEqual(['vision.hidden.1']);
    expect(failed).toContain('grpo.policy_logps');
    for (const name of ['lm.hidden.2', 'lm.logits', 'lm.completion_logps', 'lm.batch.loss'])
      expect(failed).toContain(name);
    expect(failed).not.toContain('lm.hidden.1');
  });
});
