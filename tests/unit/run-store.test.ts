import { beforeEach, describe, expect, it } from 'vitest';
import { type RunHeader, RunStore } from '../../src/storage/run-store';
import { MemoryFolder, MemoryLocks } from '../support/memory-folder';

interface Header extends RunHeader {
  state: string;
}

const header = (run: string, created = 1): Header => ({ run, name: `Run ${run}`, created, state: 'running' });
const files = (fill: number) => new Map([['adapter.bin', new Uint8Array(64).fill(fill)]]);

let folder: MemoryFolder;
let store: RunStore<Header>;
beforeEach(() => {
  folder = new MemoryFolder();
  store = new RunStore(folder, new MemoryLocks());
});

describe('runs on disk', () => {
  it('are listed newest first, renamed, measured and deleted', async () => {
    await (await store.create(header('a', 1))).close();
    const b = await store.create(header('b', 2));
    await b.append('log', [{ step: 1 }]);
    expect((await store.list()).map(({ run }) => run)).toEqual(['b', 'a']);
    expect(await store.held()).toEqual(new Set(['b']));
    await store.rename('a', 'Lower rate');
    expect((await store.header('a'))!.name).toBe('Lower rate');
    const text = JSON.stringify(b.header, null, 2).length + 1;
    expect(await store.bytes('b')).toBe(text + '{"step":1}\n'.length);
    await store.remove('a');
    expect((await store.list()).map(({ run }) => run)).toEqual(['b']);
    expect([...folder.files.keys()].some((path) => path.startsWith('runs/a/'))).toBe(false);
  });

  it('belong to one tab at a time', async () => {
    const names = new Set<string>();
    const here = new RunStore<Header>(folder, new MemoryLocks(names));
    const there = new RunStore<Header>(folder, new MemoryLocks(names));
    const open = await here.create(header('a'));
    await expect(there.open('a')).rejects.toThrow('Run a is open in another tab');
    await expect(there.remove('a')).rejects.toMatchObject({ code: 'in-use' });
    expect(await there.held()).toEqual(new Set(['a']));
    await open.close();
    await expect(open.append('log', [{ step: 1 }])).rejects.toThrow('Run a is no longer open.');
    await (await there.open('a')).close();
    await expect(there.open('b')).rejects.toMatchObject({ code: 'missing' });
  });

  it('tell of what is written, given back and deleted', async () => {
    let told = 0;
    const watched = new RunStore<Header>(folder, new MemoryLocks(), { tell: () => told++ });
    const tellsOf = async (change: Promise<unknown>): Promise<number> => {
      told = 0;
      await change;
      return told;
    };
    const open = await watched.create(header('a'));
    expect(told).toBe(1);
    expect(await tellsOf(open.append('log', [{ step: 1 }]))).toBe(1);
    expect(await tellsOf(open.append('completions', [{ step: 1 }]))).toBe(0);
    expect(await tellsOf(open.close())).toBe(1);
    expect(await tellsOf(watched.rename('a', 'Lower rate'))).toBeGreaterThan(0);
    expect(await tellsOf(watched.remove('a'))).toBeGreaterThan(0);
  });

  it('are passed over where their header is damaged', async () => {
    await (await store.create(header('a'))).close();
    await folder.write('runs/b/run.json', '{"run": "b", ');
    expect((await store.list()).map(({ run }) => run)).toEqual(['a']);
  });
});

describe('lines of a run', () => {
  it('are read without what a closing tab left of the last one', async () => {
    const run = await store.create(header('a'));
    await run.append('log', [
      { step: 1, reward: 0.5 } as { step: number },
      { step: 2, reward: 0.75 } as { step: number },
    ]);
    await folder.append('runs/a/log.jsonl', '{"step":3,"rew');
    expect(await store.lines('a', 'log')).toEqual([
      { step: 1, reward: 0.5 },
      { step: 2, reward: 0.75 },
    ]);
    await run.cutAfter(2);
    await run.append('log', [{ step: 3 }]);
    expect((await store.lines<{ step: number }>('a', 'log')).map(({ step }) => step)).toEqual([1, 2, 3]);
  });

  it('of steps that are repeated go, events stay', async () => {
    const run = await store.create(header('a'));
    for (const step of [1, 2, 3]) {
      await run.append('log', [{ step }]);
      await run.append('events', [{ step }]);
      await run.append('completions', [{ step }, { step }]);
      await run.saveCheckpoint(step, files(step), {});
    }
    await run.cutAfter(1);
    expect(await store.lines('a', 'log')).toHaveLength(1);
    expect(await store.lines('a', 'completions')).toHaveLength(2);
    expect(await store.lines('a', 'events')).toHaveLength(3);
    expect(await store.checkpoints('a')).toEqual([1]);
  });

  it('gives the last lines of a long file alone', async () => {
    const run = await store.create(header('a'));
    const lines = Array.from({ length: 5000 }, (_, step) => ({ step }));
    await run.append('log', lines);
    const last = await store.lastLines<{ step: number }>('a', 'log');
    expect(last.length).toBeLessThan(4000);
    expect(last.at(-1)).toEqual({ step: 4999 });
    expect(last).toEqual(lines.slice(-last.length));
  });
});

describe('checkpoints', () => {
  it('are never half of one and half of another, wherever the tab closes', async () => {
    for (let writes = 0; writes <= 3; writes++) {
      folder = new MemoryFolder();
      store = new RunStore(folder, new MemoryLocks());
      const run = await store.create(header('a'));
      await run.saveCheckpoint(1, files(1), { seed: 7 });
      folder.writesLeft = writes;
      await run.saveCheckpoint(2, files(2), { seed: 7 }).catch(() => undefined);
      folder.writesLeft = Number.POSITIVE_INFINITY;
      const saved = (await store.checkpoint('a'))!;
      expect(saved.step).toBe(writes < 2 ? 1 : 2);
      expect(saved.files).toEqual(files(saved.step));
      expect(saved.state).toEqual({ seed: 7 });
    }
  });

  it('that are damaged are named, and the one before is taken', async () => {
    const run = await store.create(header('a'));
    await run.saveCheckpoint(1, files(1), {});
    await run.saveCheckpoint(2, files(2), {});
    folder.files.get('runs/a/checkpoints/2/adapter.bin')![5] = 0;
    await expect(store.checkpoint('a', 2)).rejects.toThrow(
      'The checkpoint of step 2 is damaged: adapter.bin is not what was written.',
    );
    expect((await store.checkpoint('a'))!.step).toBe(1);
    await expect(store.checkpoint('a', 9)).rejects.toMatchObject({ code: 'missing' });
  });

  it('stay for the last three and every 50th step', async () => {
    const run = await store.create(header('a'));
    for (let step = 10; step <= 120; step += 10) await run.saveCheckpoint(step, files(step), {});
    expect(await store.checkpoints('a')).toEqual([50, 100, 110, 120]);
  });

  it('fail with a sentence when storage is full, and leave what is there', async () => {
    const run = await store.create(header('a'));
    await run.saveCheckpoint(1, files(1), {});
    folder.full = true;
    await expect(run.saveCheckpoint(2, files(2), {})).rejects.toMatchObject({ code: 'full' });
    folder.full = false;
    await run.append('log', [{ step: 2 }]);
    expect((await store.checkpoint('a'))!.step).toBe(1);
  });
});
