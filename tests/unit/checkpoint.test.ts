import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/model/config';
import { expectedTensors } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { memoryStore } from '../../src/weights/file-store';
import { checkTensors } from '../../src/weights/load-weights';
import { goldenBytes, goldenJson, goldenStore } from '../support/golden';
import { writeSafetensors } from '../support/safetensors-writer';

const SHARDS = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`);

async function shardedFiles(): Promise<Map<string, Uint8Array<ArrayBuffer> | string>> {
  const files = new Map<string, Uint8Array<ArrayBuffer> | string>();
  for (const name of ['config.json', 'model.safetensors.index.json', ...SHARDS]) {
    files.set(name, await goldenBytes(`checkpoint/sharded/${name}`));
  }
  return files;
}

describe('openCheckpoint', () => {
  it('opens a single file, a named file and shards, all of which fit the config', async () => {
    const single = await openCheckpoint(await goldenStore());
    const named = await openCheckpoint(await goldenStore(), { weights: 'model-bf16.safetensors' });
    const sharded = await openCheckpoint(await goldenStore('checkpoint/sharded'));
    expect(single.tensors.size).toBe(141);
    expect(named.tensors.get('connector._connector.latents')?.dtype).toBe('BF16');
    expect(sharded.tensors.size).toBe(140);
    expect(sharded.files).toEqual(SHARDS);
    for (const checkpoint of [single, named, sharded]) {
      const expected = expectedTensors(parseConfig(checkpoint.config));
      checkTensors(checkpoint, expected);
      const known = new Set([...expected.used.keys(), ...expected.unused.keys()]);
      expect([...known].filter((name) => !checkpoint.tensors.has(name))).toEqual(
        checkpoint === sharded ? ['language_model.lm_head.weight'] : [],
      );
    }
  });

  it('takes the only safetensors file of a folder, whatever its name', async () => {
    const files = new Map([
      ['config.json', '{}'],
      ['other.safetensors', writeSafetensors({ a: [1] })],
    ] as [string, string | Uint8Array<ArrayBuffer>][]);
    expect((await openCheckpoint(memoryStore(files))).files).toEqual(['other.safetensors']);
  });

  it('says what is missing', async () => {
    await expect(openCheckpoint(memoryStore(new Map(), 'here'))).rejects.toThrow(/no config.json in here/);
    const bare = memoryStore(new Map([['config.json', '{}']]), 'here');
    await expect(openCheckpoint(bare)).rejects.toThrow(/neither model.safetensors nor/);
    await expect(openCheckpoint(bare, { weights: 'w.safetensors' })).rejects.toThrow(
      /no w.safetensors in here/,
    );
    const files = await shardedFiles();
    files.delete(SHARDS[1]!);
    await expect(openCheckpoint(memoryStore(files, 'here'))).rejects.toThrow(
      /lacks model-00002-of-00003.safetensors/,
    );
  });

  it('refuses an index that disagrees with its shards', async () => {
    const files = await shardedFiles();
    const index = await goldenJson<{ weight_map: Record<string, string> }>(
      'checkpoint/sharded/model.safetensors.index.json',
    );
    const [tensor] = Object.keys(index.weight_map) as [string];
    const variants: [Record<string, string>, RegExp][] = [
      [{ ...index.weight_map, [tensor]: SHARDS[2]! }, new RegExp(`${tensor} is in .* but the index says`)],
      [{ ...index.weight_map, extra: SHARDS[0]! }, /tensor extra is in .* and it is not there/],
      [{ ...index.weight_map, [tensor]: '../x.safetensors' }, new RegExp(`the file of the tensor ${tensor}`)],
    ];
    for (const [weight_map, message] of variants) {
      files.set('model.safetensors.index.json', JSON.stringify({ weight_map }));
      await expect(openCheckpoint(memoryStore(files))).rejects.toThrow(message);
    }
    files.set('model.safetensors.index.json', '{');
    await expect(openCheckpoint(memoryStore(files))).rejects.toThrow(/is not valid JSON/);
  });
});

describe('checkTensors', () => {
  const expected = { used: new Map([['w', [2, 3]]]), unused: new Map([['spare', [1]]]) };
  const open = (tensors: Parameters<typeof writeSafetensors>[0], shapes?: Record<string, number[]>) =>
    openCheckpoint(
      memoryStore(
        new Map([
          ['config.json', '{}'],
          ['model.safetensors', writeSafetensors(tensors, shapes)],
        ] as [string, string | Uint8Array<ArrayBuffer>][]),
        'here',
      ),
    );
  const six = [1, 2, 3, 4, 5, 6];

  it('accepts a checkpoint with or without the unused tensors', async () => {
    checkTensors(await open({ w: six }, { w: [2, 3] }), expected);
    checkTensors(await open({ w: six, spare: [1] }, { w: [2, 3] }), expected);
  });

  it('names a missing, a misshapen and an unexpected tensor and the file', async () => {
    const missing = await open({ spare: [1] });
    expect(() => checkTensors(missing, expected)).toThrow(
      /w \[2, 3\] is missing in here \(model.safetensors\)/,
    );
    const misshapen = await open({ w: six }, { w: [3, 2] });
    expect(() => checkTensors(misshapen, expected)).toThrow(/model.safetensors: .* w has shape \[3, 2\]/);
    const spare = await open({ w: six, spare: [1, 2] }, { w: [2, 3] });
    expect(() => checkTensors(spare, expected)).toThrow(/spare has shape \[2\]/);
    const unexpected = await open({ w: six, stray: [1] }, { w: [2, 3] });
    expect(() => checkTensors(unexpected, expected)).toThrow(
      /model.safetensors: the tensor stray does not belong/,
    );
  });
});
