import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import type { Gpu } from '../../src/gpu/device';
import { readF32 } from '../../src/gpu/tensor';
import { LoraAdapter } from '../../src/lora/adapter';
import { loraScaling } from '../../src/lora/lora-config';
import { readPeft, writePeft } from '../../src/lora/peft-files';
import { memorySource } from '../../src/weights/byte-source';
import { writeSafetensors } from '../../src/weights/safetensors-write';
import { readSafetensors } from '../../src/weights/tensor-data';
import recorded from '../golden/adapter/adapter_config.json';
import { goldenBytes } from '../support/golden';
import { sharedGpu } from '../support/shared-gpu';

const shape = {
  hidden_size: 64,
  intermediate_size: 160,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  rms_norm_eps: 1e-6,
  vocab_size: 1024,
  num_hidden_layers: 3,
};

describe('PEFT files', () => {
  let gpu: Gpu;
  let bytes: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    gpu = await sharedGpu();
    bytes = await goldenBytes('adapter/adapter_model.safetensors');
  });
  afterAll(() => gpu.close());
  const read = (config: unknown, file = bytes) =>
    readPeft(gpu, config, memorySource('adapter_model.safetensors', file), shape);

  it('loads an adapter of PEFT and writes the same files again', async () => {
    const adapter = await read(recorded);
    expect(adapter.config.layers_to_transform).toBeUndefined();
    expect([...adapter.config.target_modules].sort()).toEqual([...LORA_TARGETS].sort());
    expect(loraScaling(adapter.config)).toBe(2);
    const files = await writePeft(adapter, recorded.base_model_name_or_path);
    expect(JSON.parse(files['adapter_config.json'])).toEqual(recorded);
    expect(files['adapter_model.safetensors']).toEqual(bytes);
    adapter.destroy();
  });

  it('keeps a partial adapter partial, with rsLoRA', async () => {
    const config = {
      r: 8,
      lora_alpha: 4,
      use_rslora: true,
      target_modules: ['self_attn.q_proj', 'mlp.down_proj'] as const,
      layers_to_transform: [1],
    };
    const adapter = LoraAdapter.create(gpu, config, shape);
    adapter.initialise(3);
    const values = await adapter.read();
    const A = values.get('language_model.model.layers.1.self_attn.q_proj.lora_A.weight')!;
    expect(Math.max(...A.map(Math.abs))).toBeLessThanOrEqual(1 / 8);
    expect(new Set(A).size).toBeGreaterThan(500);
    const files = await writePeft(adapter, 'base');
    const again = await read(JSON.parse(files['adapter_config.json']), files['adapter_model.safetensors']);
    expect(again.config).toEqual(config);
    expect(await again.read()).toEqual(values);
    expect(JSON.parse(files['adapter_config.json']).target_modules).toBe(
      'language_model\\.model\\.layers\\.(1)\\.(self_attn\\.(q_proj)|mlp\\.(down_proj))',
    );
    const tensors = await readSafetensors(memorySource('x', files['adapter_model.safetensors']));
    expect([...tensors.keys()].every((key) => key.startsWith('base_model.model.language_model.'))).toBe(true);
    adapter.destroy();
    again.destroy();
  });

  it('loads an adapter of the decoder alone', async () => {
    const tensors = await readSafetensors(memorySource('adapter_model.safetensors', bytes));
    const alone = new Map(
      [...tensors].map(([key, { shape: dims, data }]) => [
        key.replace('.language_model.', '.'),
        { shape: dims, values: data as Float32Array<ArrayBuffer> },
      ]),
    );
    expect(alone.has('base_model.model.model.layers.0.mlp.up_proj.lora_A.weight')).toBe(true);
    const adapter = await read({ ...recorded, target_modules: 'all-linear' }, writeSafetensors(alone));
    const files = await writePeft(adapter, recorded.base_model_name_or_path);
    expect(files['adapter_model.safetensors']).toEqual(bytes);
    adapter.destroy();
  });

  it.each([1, 3, 6])('keeps a rank of %d in files, padded on the GPU', async (r) => {
    const config = { r, lora_alpha: 8, use_rslora: false, target_modules: ['mlp.up_proj'] as const };
    const adapter = LoraAdapter.create(gpu, config, shape);
    const counts = [r * 64, 160 * r];
    for (const [i, name] of [...adapter.tensors.keys()].entries())
      adapter.set(
        name,
        Float32Array.from({ length: counts[i % 2]! }, (_, j) => j + 1),
      );
    const files = await writePeft(adapter, 'base');
    const tensors = await readSafetensors(memorySource('x', files['adapter_model.safetensors']));
    const prefix = 'base_model.model.language_model.model.layers.2.mlp.up_proj.lora_';
    expect(tensors.get(`${prefix}A.weight`)!.shape).toEqual([r, 64]);
    expect(tensors.get(`${prefix}B.weight`)!.shape).toEqual([160, r]);
    const again = await read(JSON.parse(files['adapter_config.json']), files['adapter_model.safetensors']);
    expect(again.config).toEqual(config);
    expect(await again.read()).toEqual(await adapter.read());
    const B = again.get('language_model.model.layers.0.mlp.up_proj.lora_B.weight');
    expect(B.shape).toEqual([160, 4 * Math.ceil(r / 4)]);
    const row = [...(await readF32(gpu, B)).subarray(0, B.shape[1])];
    expect(row).toEqual(Array.from({ length: B.shape[1]! }, (_, i) => (i < r ? i + 1 : 0)));
    adapter.destroy();
    again.destroy();
  });

  it('says what is wrong, and leaves nothing behind', async () => {
    const before = gpu.memory.buffers;
    await expect(read({ ...recorded, peft_type: 'IA3' })).rejects.toThrow(/IA3; only LORA/);
    await expect(read({ ...recorded, use_dora: true })).rejects.toThrow(/use_dora/);
    await expect(read({ ...recorded, rank_pattern: { q_proj: 2 } })).rejects.toThrow(
      /has a rank_pattern, which is not understood here/,
    );
    await expect(read({ ...recorded, r: 8 })).rejects.toThrow(
      /is \[4, 64\]; this model and r = 8 need \[8, 64\]/,
    );
    const broken = bytes.slice();
    new DataView(broken.buffer).setFloat32(broken.length - 4, Number.NaN, true);
    await expect(read(recorded, broken)).rejects.toThrow(/no numbers/);
    expect(gpu.memory.buffers).toBe(before);
  });
});
