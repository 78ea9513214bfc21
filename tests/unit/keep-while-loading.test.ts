import { beforeEach, describe, expect, it } from 'vitest';
import { KeptModels } from '../../src/storage/kept-models';
import { memoryStore } from '../../src/weights/file-store';
import { discardReason, isDiscarded } from '../../src/worker/discard-load';
import { keepWhileLoading, openKept } from '../../src/worker/kept-model';
import { type MemoryFolder, MemoryLocks, modelsInMemory } from '../support/memory-folder';

const MODEL = { revision: 'c0ffee', precision: 'language q4, embedding q8, vision f16, connector f16' };
const tensor = (name: string) => ({ name, dtype: 'f32', shape: [250] });
async function* bytes(seed: number) {
  yield Uint8Array.from({ length: 1000 }, (_, i) => (i * seed) % 251);
}

let folder: MemoryFolder;
let locks: Set<string>;
let models: KeptModels;
beforeEach(() => {
  ({ folder, locks, models } = modelsInMemory());
});

/** A page that begins to load the model, with what it would tell of it. */
async function page() {
  const store = memoryStore(new Map([['config.json', '{}']]), 'some/model');
  const told: string[] = [];
  const kept = keepWhileLoading(models, store, {
    source: 'https://hub.test/some/model/',
    name: 'model',
    onProblem: (message) => told.push(message),
  });
  await kept.store.text('config.json');
  return {
    problem: kept.problem,
    discard: kept.discard,
    told,
    cache: await kept.openCache(MODEL),
  };
}

describe('a model that is kept while it loads', () => {
  it('is loaded all the same where storage is full from the first byte, and leaves nothing', async () => {
    folder.full = true;
    const { cache, problem } = await page();
    expect(cache).toBeUndefined();
    expect(problem()).toMatch(
      /^Storage is full, so the model was not kept to its end: what lacks is loaded anew/,
    );
    expect(folder.files.size).toBe(0);
    // Room for the manifest, and not for the small files.
    folder.full = false;
    const write = folder.write.bind(folder);
    folder.write = async (path, content) => {
      if (path.endsWith('config.json')) folder.full = true;
      return write(path, content);
    };
    expect((await page()).cache).toBeUndefined();
    expect(folder.files.size).toBe(0);
    expect(locks.size).toBe(0);
  });

  it('is stopped where storage gets full, and goes on from there at the next visit', async () => {
    const { cache, problem, told } = await page();
    await cache!.add(tensor('a'), bytes(2));
    folder.full = true;
    const full = await cache!.add(tensor('b'), bytes(3)).catch((cause: unknown) => cause);
    expect(told).toEqual([]);
    cache!.failed(full);
    // At once, not at the end of the load.
    expect(told).toEqual([problem()]);
    await cache!.close(true);
    expect(problem()).toMatch(/^Storage is full/);
    folder.full = false;
    const [listed] = await models.list();
    expect(listed).toMatchObject({ complete: false, inUse: false });
    await expect(openKept(models, listed!.id)).rejects.toThrow(/was not loaded to its end/);
    const again = await page();
    expect([...again.cache!.tensors.keys()]).toEqual(['a']);
    await again.cache!.add(tensor('b'), bytes(3));
    await again.cache!.close(true);
    expect(again.problem()).toBeUndefined();
    expect(await models.list()).toMatchObject([{ complete: true }]);
  });

  it('is kept by one page, and a second one loads it beside and says why it keeps nothing', async () => {
    const first = await page();
    const second = await page();
    expect(second.cache).toBeUndefined();
    expect(second.problem()).toMatch(/not kept for the next visit: Another tab is loading model/);
    const [listed] = await models.list();
    await expect(models.delete(listed!.id)).rejects.toThrow('It can be deleted after that.');
    await first.cache!.add(tensor('a'), bytes(2));
    await first.cache!.close(true);
    expect(await models.list()).toMatchObject([{ complete: true, inUse: false }]);
  });

  it('is deleted where its load is cancelled for good, what was kept earlier included', async () => {
    const first = await page();
    await first.cache!.add(tensor('a'), bytes(2));
    await first.cache!.close(false);
    const again = await page();
    expect(again.cache!.tensors.size).toBe(1);
    await again.cache!.close(false);
    expect(await again.discard()).toBe('Nothing of it is kept in this browser.');
    expect(folder.files.size).toBe(0);
    // What another page is keeping is not this one's to delete.
    const other = await page();
    await other.cache!.add(tensor('a'), bytes(2));
    expect(await (await page()).discard()).toMatch(/Another tab is loading model/);
    expect(folder.files.size).toBeGreaterThan(0);
    await other.cache!.close(false);
    expect(locks.size).toBe(0);
    // Neither a load that was cut off nor one for good is taken for the other.
    const [cut, good] = [new AbortController(), new AbortController()];
    expect(isDiscarded(good.signal)).toBe(false);
    cut.abort();
    good.abort(discardReason());
    expect([isDiscarded(cut.signal), isDiscarded(good.signal)]).toEqual([false, true]);
    expect((good.signal.reason as DOMException).name).toBe('AbortError');
  });

  it('that another page deletes while it answers here can be loaded and kept again', async () => {
    const first = await page();
    await first.cache!.add(tensor('a'), bytes(2));
    await first.cache!.close(true);
    const [listed] = await models.list();
    // The weights are on the GPU: nothing here holds the files.
    await new KeptModels(folder, new MemoryLocks(locks)).delete(listed!.id);
    await expect(openKept(models, listed!.id)).rejects.toThrow(/is not kept any more/);
    const again = await page();
    expect(again.cache!.tensors.size).toBe(0);
    await again.cache!.close(false);
    expect(folder.files.size).toBe(0);
  });

  it('whose weights the browser has deleted is read again from where it came from', async () => {
    const first = await page();
    await first.cache!.add(tensor('a'), bytes(2));
    await first.cache!.close(true);
    const [listed] = await models.list();
    await folder.remove(`models/${listed!.id}/weights.bin`);
    const { openCache } = await openKept(models, listed!.id);
    const cache = await openCache(MODEL);
    const parts = cache!.read('a')[Symbol.asyncIterator]();
    await expect(parts.next()).rejects.toThrow('The tensor a was not kept.');
    await cache!.close(false);
  });
});
