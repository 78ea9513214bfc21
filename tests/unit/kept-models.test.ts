import { beforeEach, describe, expect, it } from 'vitest';
import { StorageError } from '../../src/storage/errors';
import { KeptModels, type OpenModel } from '../../src/storage/kept-models';
import { MemoryFolder, MemoryLocks, modelsInMemory } from '../support/memory-folder';

const SOURCE = { source: 'https://hub.test/a/b', revision: 'c0ffee', precision: 'q4' };
const bytes = (seed: number, length = 1000) => Uint8Array.from({ length }, (_, i) => (i * seed) % 251);
const tensor = (name: string) => ({ name, dtype: 'q4', shape: [10, 50], error: 0.01 });

let folder: MemoryFolder;
let locks: Set<string>;
let models: KeptModels;
beforeEach(() => {
  ({ folder, locks, models } = modelsInMemory());
});

/** Does something with the model open. */
async function opened<T>(use: (model: OpenModel) => Promise<T>, source = SOURCE): Promise<T> {
  const model = await models.open(source, 'b', 1);
  try {
    return await use(model);
  } finally {
    model.close();
  }
}

/** A tensor's parts; undefined where it has to be taken again. */
async function read(model: OpenModel, name: string): Promise<Uint8Array[] | undefined> {
  try {
    const parts: Uint8Array[] = [];
    for await (const part of model.read(name)) parts.push(part);
    return parts;
  } catch (cause) {
    if (cause instanceof StorageError) return undefined;
    throw cause;
  }
}

const weightsFile = () => [...folder.files.keys()].find((path) => path.endsWith('weights.bin'))!;

describe('a kept model', () => {
  it('gives back what was kept, in a later visit', async () => {
    await opened(async (model) => {
      await model.addFiles(new Map([['config.json', new TextEncoder().encode('{}')]]));
      await model.add(tensor('w'), [bytes(3), bytes(5, 40)]);
      await model.add({ name: 'norm', dtype: 'f32', shape: [4] }, [bytes(7, 16)]);
      await model.complete();
    });
    await opened(async (model) => {
      expect(model.manifest).toMatchObject({ ...SOURCE, complete: true });
      expect(await read(model, 'w')).toEqual([bytes(3), bytes(5, 40)]);
      expect(await read(model, 'norm')).toEqual([bytes(7, 16)]);
      expect(await read(model, 'other')).toBeUndefined();
      expect(new TextDecoder().decode((await model.files()).get('config.json'))).toBe('{}');
      expect(model.tensors.get('w')).toMatchObject({ error: 0.01, shape: [10, 50] });
    });
    const [listed] = await models.list();
    expect(listed).toMatchObject({ name: 'b', complete: true, inUse: false });
    const again = await models.openById(listed!.id, 7);
    expect(again.manifest).toMatchObject({ used: 7, complete: true });
    again.close();
    await expect(models.openById('other', 8)).rejects.toMatchObject({ code: 'missing' });
    expect(listed!.bytes).toBeGreaterThan(1056);
  });

  it('is another one for another revision or precision', async () => {
    await opened((model) => model.add(tensor('w'), [bytes(3)]));
    for (const change of [{ revision: 'other' }, { precision: 'f16' }])
      expect(await opened((model) => read(model, 'w'), { ...SOURCE, ...change })).toBeUndefined();
    expect(await models.list()).toHaveLength(3);
  });

  it('goes on where a tab was closed, at any write', async () => {
    for (let writes = 0; writes < 14; writes++) {
      folder = new MemoryFolder();
      models = new KeptModels(folder, new MemoryLocks());
      folder.writesLeft = writes;
      const all = async (model: OpenModel) => {
        for (const [i, name] of ['a', 'b', 'c'].entries())
          if (!(await read(model, name))) await model.add(tensor(name), [bytes(i + 2), bytes(i + 9, 30)]);
        await model.complete();
      };
      await opened(all).catch(() => undefined);
      folder.writesLeft = Number.POSITIVE_INFINITY;
      models = new KeptModels(folder, new MemoryLocks());
      await opened(all);
      const parts = await opened(async (model) => [await read(model, 'a'), await read(model, 'c')]);
      expect(parts, `closed after ${writes} writes`).toEqual([
        [bytes(2), bytes(9, 30)],
        [bytes(4), bytes(11, 30)],
      ]);
      expect(folder.files.get(weightsFile())!.length).toBe(3 * 1030);
    }
  });

  it('passes over a line that was not written to its end', async () => {
    await opened((model) => model.add(tensor('a'), [bytes(2)]));
    await folder.append(weightsFile().replace('weights.bin', 'tensors.jsonl'), '{"name":"b","dty');
    await opened((model) => model.add(tensor('b'), [bytes(3)]));
    expect(await opened((model) => read(model, 'b'))).toEqual([bytes(3)]);
  });

  it('finds a damaged tensor by its checksum, and takes it again', async () => {
    await opened(async (model) => {
      await model.add(tensor('a'), [bytes(2)]);
      await model.add(tensor('b'), [bytes(3)]);
    });
    folder.files.get(weightsFile())!.fill(1, 500, 510);
    await opened(async (model) => {
      expect(await read(model, 'a')).toBeUndefined();
      expect(model.tensors.has('a')).toBe(false);
      expect(await read(model, 'b')).toEqual([bytes(3)]);
      await model.add(tensor('a'), [bytes(2)]);
    });
    expect(await opened((model) => read(model, 'a'))).toEqual([bytes(2)]);
  });

  it('belongs to one tab at a time', async () => {
    const model = await models.open(SOURCE, 'b', 1);
    const other = new KeptModels(folder, new MemoryLocks(locks));
    await expect(other.open(SOURCE, 'b', 2)).rejects.toThrow(/Another tab is loading b/);
    const [listed] = await other.list();
    expect(listed!.inUse).toBe(true);
    await expect(other.delete(listed!.id)).rejects.toBeInstanceOf(StorageError);
    model.close();
    await other.delete(listed!.id);
    expect(folder.files.size).toBe(0);
  });

  it('keeps what is there when storage is full', async () => {
    const model = await models.open(SOURCE, 'b', 1);
    await model.add(tensor('a'), [bytes(2)]);
    folder.full = true;
    await expect(model.add(tensor('b'), [bytes(3)])).rejects.toMatchObject({ code: 'full' });
    folder.full = false;
    expect(await read(model, 'a')).toEqual([bytes(2)]);
    model.close();
  });

  it('with a manifest of another format is begun anew', async () => {
    await opened((model) => model.add(tensor('a'), [bytes(2)]));
    const manifest = [...folder.files.keys()].find((path) => path.endsWith('model.json'))!;
    folder.files.set(manifest, new TextEncoder().encode('{"format":9}'));
    expect(await models.list()).toEqual([]);
    expect(await opened((model) => read(model, 'a'))).toBeUndefined();
  });
});
