import { readFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type HubFile,
  type HubRepository,
  syntheticRepository,
} from '../../src/cli/synthetic-hub/repository';
import { TinyLlava } from '../../src/model/tiny-llava';
import { KeptModels } from '../../src/storage/kept-models';
import { keepWhileLoading, openKept } from '../../src/worker/kept-model';
import { nodeCountingGpu } from '../support/counting';
import { MemoryFolder, MemoryLocks } from '../support/memory-folder';
import { repositoryStore } from '../support/published-model';

// Every way in which a checkpoint can be wrong: a sentence that names the file and the tensor, no memory left on the
// GPU, and nothing half-loaded left on disk.

const TOY = new URL('../../public/models/toy/', import.meta.url);
const FIRST = 'model-00001-of-00002.safetensors';
const INDEX = 'model.safetensors.index.json';
const NORM = 'language_model.model.norm.weight';
const PATCH = 'vision_tower._vision_tower.vision_model.embeddings.patch_embedding.weight';
const EMBEDDING = 'language_model.model.embed_tokens.weight';

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

let config: Record<string, unknown>;
let repository: HubRepository;
beforeAll(async () => {
  const text = (name: string) => readFile(new URL(name, TOY));
  config = JSON.parse(String(await text('config.json')));
  const names = ['vocab.json', 'merges.txt', 'tokenizer_config.json'];
  const others = new Map(await Promise.all(names.map(async (name) => [name, await text(name)] as const)));
  repository = syntheticRepository(config, others, { shardBytes: 2.4e6 });
});

let folder: MemoryFolder;
beforeEach(() => {
  folder = new MemoryFolder();
});

/** Loads a repository as the engine does, and keeps it. */
async function load(files: HubRepository): Promise<void> {
  const gpu = nodeCountingGpu();
  // Made with the first use, and kept.
  gpu.uniforms.write(new Uint32Array(4));
  const empty = gpu.memory.bytes;
  const models = new KeptModels(folder, new MemoryLocks());
  const { store, openCache } = keepWhileLoading(models, repositoryStore(files, 'some/toy'), {
    source: 'some/toy',
    name: 'toy',
  });
  try {
    const model = await TinyLlava.load(gpu, store, { openCache, backend: 'wgsl' });
    await model.destroy();
  } finally {
    expect(gpu.memory.bytes).toBe(empty);
  }
}

/** The repository with files replaced. */
function withFiles(change: Record<string, HubFile | string>): HubRepository {
  const files = new Map(repository);
  for (const [name, content] of Object.entries(change))
    files.set(name, typeof content === 'string' ? bytesFile(Buffer.from(content)) : content);
  return files;
}

function bytesFile(bytes: Uint8Array): HubFile {
  return { size: bytes.byteLength, etag: '"a"', read: (start, end) => bytes.subarray(start, end) };
}

/** The file of a tensor. */
function fileOf(tensor: string): string {
  const file = repository.get(INDEX)!;
  const index = JSON.parse(Buffer.from(file.read(0, file.size)).toString()) as {
    weight_map: Record<string, string>;
  };
  return index.weight_map[tensor]!;
}

/** A shard with another header before the same data, and with other bytes in it. */
function changed(name: string, header: (entries: Header) => void, data: (bytes: Buffer) => void = () => {}) {
  const file = repository.get(name)!;
  const bytes = Buffer.from(file.read(0, file.size));
  const length = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Header;
  header(entries);
  const text = Buffer.from(JSON.stringify(entries));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const rest = Buffer.from(bytes.subarray(8 + length));
  data(rest);
  return bytesFile(Buffer.concat([size, text, rest]));
}

const small = (json: unknown) => JSON.stringify(json);

describe('a checkpoint that is right', () => {
  it('is loaded and kept', async () => {
    await load(repository);
    const models = await new KeptModels(folder, new MemoryLocks()).list();
    expect(models).toMatchObject([{ name: 'toy', complete: true }]);
  });

  it('is held, once kept, while its tensors are read alone', async () => {
    await load(repository);
    const models = new KeptModels(folder, new MemoryLocks());
    const { id } = (await models.list())[0]!;
    // A load that ends before it comes to the tensors.
    await openKept(models, id);
    const { openCache, checkpoint } = await openKept(models, id);
    expect(checkpoint?.name).toBe('toy');
    const cache = await openCache({ revision: '', precision: '' });
    await expect(openKept(models, id)).rejects.toThrow('Another tab is loading this model');
    await cache!.close(true);
    await openKept(models, id);
  });
});

const cases: [string, () => HubRepository, RegExp][] = [
  [
    'a config of another architecture',
    () => withFiles({ 'config.json': small({ ...config, model_type: 'llava' }) }),
    /config\.json: model_type is "llava", and only tinyllava can be run/,
  ],
  [
    'a config that is a JSON bomb',
    () => withFiles({ 'config.json': '['.repeat(100_000) }),
    /config\.json cannot be used: it is nested more than/,
  ],
  [
    'a vocabulary that is a web page',
    () => withFiles({ 'vocab.json': '<!doctype html><title>Sign in</title>' }),
    /vocab\.json is not JSON, but a web page/,
  ],
  [
    'a missing shard',
    () => new Map([...repository].filter(([name]) => name !== FIRST)),
    new RegExp(`some/toy lacks ${FIRST}, which the index names`),
  ],
  [
    'a text file that is named like a shard',
    () => withFiles({ [FIRST]: 'These are no weights at all, but words.' }),
    new RegExp(`${FIRST} is not a safetensors file, but a text file`),
  ],
  [
    'a header of absurd size',
    () => {
      const bytes = Buffer.alloc(1000);
      bytes.writeBigUInt64LE(2n ** 50n);
      return withFiles({ [FIRST]: bytesFile(bytes) });
    },
    new RegExp(`${FIRST} is not a whole safetensors file: its header claims 1125899906842624 bytes`),
  ],
  [
    'a tensor that the index has and the shard has not',
    () => withFiles({ [fileOf(NORM)]: changed(fileOf(NORM), (entries) => rename(entries, NORM, 'stray')) }),
    /The tensor stray is in model-0000\d-of-0000\d\.safetensors, but the index does not list it/,
  ],
  [
    'a tensor of another shape',
    () =>
      withFiles({
        [fileOf(EMBEDDING)]: changed(fileOf(EMBEDDING), (entries) => entries[EMBEDDING]!.shape.reverse()),
      }),
    /model-0000\d-of-0000\d\.safetensors: the tensor language_model\.model\.embed_tokens\.weight has shape \[\d+, \d+\], and the config asks for/,
  ],
  [
    'a tensor of a type that is not read',
    () =>
      withFiles({
        [fileOf(NORM)]: changed(fileOf(NORM), (entries) => {
          entries[NORM]!.dtype = 'I16';
        }),
      }),
    /model-0000\d-of-0000\d\.safetensors: the tensor language_model\.model\.norm\.weight is of type I16; F32, F16 and BF16/,
  ],
  [
    'offsets outside of the file',
    () =>
      withFiles({
        [fileOf(NORM)]: changed(fileOf(NORM), (entries) => {
          entries[NORM]!.data_offsets = entries[NORM]!.data_offsets.map((at) => at + 2 ** 40) as [
            number,
            number,
          ];
        }),
      }),
    /model-0000\d-of-0000\d\.safetensors: the tensor language_model\.model\.norm\.weight should end at byte \d+, but the file has only/,
  ],
  [
    'tensors that overlap',
    () =>
      withFiles({
        [fileOf(NORM)]: changed(fileOf(NORM), (entries) => {
          entries[NORM]!.data_offsets = entries[NORM]!.data_offsets.map((at) => at - 2) as [number, number];
        }),
      }),
    /model-0000\d-of-0000\d\.safetensors: the tensors .* and language_model\.model\.norm\.weight overlap/,
  ],
  [
    'a tensor that is in two shards',
    () => {
      const second = fileOf(EMBEDDING);
      expect(fileOf(PATCH)).not.toBe(second);
      // Of no bytes: what counts is its name.
      const doubled = changed(second, (entries) => {
        entries[PATCH] = { dtype: 'BF16', shape: [0], data_offsets: [0, 0] };
      });
      return withFiles({ [second]: doubled });
    },
    /The tensor vision_tower\..*patch_embedding\.weight is in both model-00001-of-00002\.safetensors and model-00002/,
  ],
  [
    'a tensor that lacks',
    () => {
      const name = 'language_model.model.layers.0.mlp.up_proj.weight';
      const file = repository.get(INDEX)!;
      const index = JSON.parse(Buffer.from(file.read(0, file.size)).toString());
      index.weight_map.stray = fileOf(name);
      delete index.weight_map[name];
      return withFiles({
        [INDEX]: small(index),
        [fileOf(name)]: changed(fileOf(name), (entries) => rename(entries, name, 'stray')),
      });
    },
    /The tensor language_model\.model\.layers\.0\.mlp\.up_proj\.weight \[\d+, \d+\] is missing in some\/toy \(model-0000/,
  ],
  [
    'a weight that is NaN, behind others that were kept already',
    () => {
      const name = fileOf(NORM);
      let at = 0;
      return withFiles({
        [name]: changed(
          name,
          (entries) => {
            at = entries[NORM]!.data_offsets[0];
          },
          (bytes) => bytes.writeUInt16LE(0x7fc0, at + 6),
        ),
      });
    },
    /model-0000\d-of-0000\d\.safetensors: the tensor language_model\.model\.norm\.weight \[\d+\] has a value that is NaN or infinite, at \[3\]/,
  ],
];

function rename(entries: Header, from: string, to: string): void {
  entries[to] = entries[from]!;
  delete entries[from];
}

describe('a checkpoint with', () => {
  for (const [what, files, message] of cases) {
    it(`${what} is refused, and nothing of it is left`, async () => {
      await expect(load(files())).rejects.toThrow(message);
      expect([...folder.files.keys()]).toEqual([]);
    });
  }

  it('a connection that fails keeps what was loaded, and goes on from there', async () => {
    const last = [...repository.keys()].filter((name) => name.endsWith('.safetensors')).at(-1)!;
    const file = repository.get(last)!;
    const gone: HubFile = {
      ...file,
      read: (start, end) => {
        if (end > 100_000) throw new Error('The connection broke off.');
        return file.read(start, end);
      },
    };
    await expect(load(withFiles({ [last]: gone }))).rejects.toThrow('broke off');
    const models = new KeptModels(folder, new MemoryLocks());
    const [stopped] = await models.list();
    expect(stopped!.complete).toBe(false);
    // Most of it is there by now.
    let read = 0;
    const counted = [...repository].map(([name, one]): [string, HubFile] => [
      name,
      {
        ...one,
        read: (start, end) => {
          if (name.endsWith('.safetensors')) read += end - start;
          return one.read(start, end);
        },
      },
    ]);
    await load(new Map(counted));
    const [whole] = await models.list();
    expect(whole!.complete).toBe(true);
    // BF16 in the files, f32 as kept.
    expect(read).toBeLessThan((whole!.bytes - stopped!.bytes) / 2 + 200_000);
  });
});
