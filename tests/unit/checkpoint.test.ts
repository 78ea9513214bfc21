import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/model/config';
import { expectedTensors } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { fileStore, memoryStore } from '../../src/weights/file-store';
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

/** A file as a folder picker gives it. */
function picked(path: string, content: string): File {
  const file = new File([content], path.slice(path.lastIndexOf('/') + 1));
  return path.includes('/') ? Object.defineProperty(file, 'webkitRelativePath', { value: path }) : file;
}

describe('fileStore', () => {
  it('finds the checkpoint folder among picked files', async () => {
    const layouts: [string, string[]][] = [
      ['the chosen files', ['config.json', 'model.safetensors']],
      ['toy', ['toy/config.json', 'toy/model.safetensors', 'toy/old/config.json', 'toy/old/other.txt']],
      ['toy', ['models/notes.txt', 'models/toy/config.json', 'models/toy/model.safetensors']],
    ];
    for (const [name, paths] of layouts) {
      const store = fileStore(paths.map((path) => picked(path, path)));
      expect(store.name).toBe(name);
      expect(await store.list!()).toEqual(['config.json', 'model.safetensors']);
      expect(await store.text('model.safetensors')).toBe(paths.find((path) => path.endsWith('.safetensors')));
      expect(await store.open('other.txt')).toBeUndefined();
    }
  });

  it('names what is missing, and the models that it cannot choose between', async () => {
    const none = fileStore([picked('toy/model.safetensors', '')]);
    await expect(openCheckpoint(none)).rejects.toThrow('There is no config.json in toy.');
    await expect(openCheckpoint(fileStore([]))).rejects.toThrow('no config.json in the chosen files');
    const two = [picked('models/a/config.json', '{}'), picked('models/b/config.json', '{}')];
    expect(() => fileStore(two)).toThrow(/2 models in what you chose \(models\/a\/, models\/b\/\)/);
  });
});

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
      /here lacks model-00002-of-00003.safetensors, which the index names. Get the missing part./,
    );
    files.delete(SHARDS[2]!);
    await expect(openCheckpoint(memoryStore(files, 'here'))).rejects.toThrow(
      /lacks model-00002-of-00003.safetensors and model-00003-of-00003.safetensors/,
    );
  });

  it('says what a file is that should be another one', async () => {
    const page = '<!DOCTYPE html><html><head><title>Sign in</title>';
    const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3950000000\n';
    const zip = new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0, 0]);
    const cases: [string, Uint8Array<ArrayBuffer> | string, RegExp][] = [
      ['config.json', page, /^config.json is not JSON, but a web page \(HTML\)/],
      ['config.json', 'name: toy', /^config.json is not valid JSON/],
      ['model.safetensors', page, /^model.safetensors is not a safetensors file, but a web page/],
      ['model.safetensors', lfs, /not a safetensors file, but a Git LFS pointer.*git lfs pull/],
      ['model.safetensors', 'These are my notes, and no weights.', /not a safetensors file, but a text file/],
      ['model.safetensors', zip, /not a safetensors file, but a zip archive or a PyTorch file/],
    ];
    for (const [name, content, message] of cases) {
      const files = new Map<string, Uint8Array<ArrayBuffer> | string>([
        ['config.json', '{}'],
        ['model.safetensors', writeSafetensors({ a: [1] })],
      ]);
      files.set(name, content);
      await expect(openCheckpoint(memoryStore(files)), `${name} ${message}`).rejects.toThrow(message);
    }
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
