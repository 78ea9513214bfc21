import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  COMMIT,
  type HubFault,
  type SyntheticHub,
  startSyntheticHub,
} from '../../src/cli/synthetic-hub/hub-server';
import { type HubRepository, storedFile, syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { hubStore } from '../../src/weights/file-store';
import { widenToF32 } from '../../src/weights/widen';

const RETRY = { attempts: 4, pause: 1, longest: 5 };
const SHARD = /^model-0000\d-of-0000\d\.safetensors$/;
const TENSOR = 'language_model.model.embed_tokens.weight';

let hub: SyntheticHub;
let toy: HubRepository;
let wide: HubRepository;

beforeAll(async () => {
  const folder = new URL('../../public/models/toy/', import.meta.url);
  const config = JSON.parse(await readFile(new URL('config.json', folder), 'utf8'));
  const others = new Map([['merges.txt', 'a b']]);
  toy = syntheticRepository(config, others, { shardBytes: 2e6 });
  // Large enough that its shards are read by ranges.
  const text_config = { ...config.text_config, vocab_size: 300_000 };
  wide = syntheticRepository({ ...config, text_config, vocab_size: 300_000 }, others, { shardBytes: 78e6 });
  hub = await startSyntheticHub(
    new Map([
      ['some/toy', toy],
      ['some/wide', wide],
      ['some/text', new Map([['config.json', storedFile('{')]])],
    ]),
  );
});
afterAll(() => hub.close());
beforeEach(() => {
  hub.fault = () => undefined;
  hub.requests.length = 0;
});

const open = (repository: string, revision = 'main') =>
  hubStore({ endpoint: `${hub.endpoint}/`, repository, revision }, { retry: RETRY });

/** Reads one tensor of a repository through the hub, and from the repository itself. */
async function readBoth(repository: string, files: HubRepository): Promise<[Uint8Array, Uint8Array]> {
  const { tensors } = await openCheckpoint(open(repository));
  const { source, start, end } = tensors.get(TENSOR)!;
  const to = Math.min(end, start + 3_000_000);
  return [await source.read(start, to), files.get(source.name)!.read(start, to)];
}

describe('a synthetic repository', () => {
  it('has the published layout', async () => {
    expect([...toy.keys()].filter((name) => SHARD.test(name)).length).toBeGreaterThan(1);
    const checkpoint = await openCheckpoint(open('some/toy'));
    const published = await openCheckpoint(open('some/toy', COMMIT));
    expect([...checkpoint.tensors.keys()]).toEqual([...published.tensors.keys()]);
    expect(checkpoint.tensors.has('vision_tower._vision_tower.vision_model.head.probe')).toBe(true);
    expect(checkpoint.tensors.get(TENSOR)?.dtype).toBe('BF16');
  });

  it('has normal weights, other ones in each place, the same in each cut', () => {
    const file = [...wide.values()].find(({ size }) => size > 7e7)!;
    const from = file.size - 40_000_002;
    const whole = file.read(from, from + 2_000_002);
    const parts = Buffer.concat([
      file.read(from, from + 333_333),
      file.read(from + 333_333, from + 2_000_002),
    ]);
    expect(Buffer.compare(parts, whole)).toBe(0);
    const values = widenToF32(whole.slice(2, 2 + 1e6), 'BF16');
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(3e-4);
    expect(Math.sqrt(square)).toBeGreaterThan(0.019);
    expect(Math.sqrt(square)).toBeLessThan(0.021);
    expect(Buffer.compare(whole.slice(0, 131_072), whole.slice(131_072, 262_144))).not.toBe(0);
  });
});

describe('a hub', () => {
  it('is asked for one commit', async () => {
    const store = open('some/toy');
    await openCheckpoint(store);
    expect(store.commit()).toBe(COMMIT);
    expect(hub.requests[0]?.revision).toBe('main');
    expect(hub.requests.slice(2).every(({ revision }) => revision === COMMIT)).toBe(true);
  });

  it('sends of large files what is read alone', async () => {
    const before = hub.bytesSent;
    const [got, expected] = await readBoth('some/wide', wide);
    expect(Buffer.compare(got, expected)).toBe(0);
    // 3 MB of the tensor, the small shards, which come whole, and headers.
    expect(hub.bytesSent - before).toBeLessThan(7_000_000);
  });

  const passing: [string, (earlier: number) => HubFault | undefined][] = [
    ['is slow', () => ({ kind: 'slow', ms: 1 })],
    [
      'breaks off in the middle, again and again',
      (n) => (n < 6 ? { kind: 'cut', after: 700_000 } : undefined),
    ],
    ['asks for patience', (n) => (n % 3 < 2 ? { kind: 'status', status: 429, retryAfter: 0 } : undefined)],
    ['fails in passing', (n) => (n % 2 === 0 ? { kind: 'status', status: 503 } : undefined)],
    ['sends too few bytes once', (n) => (n === 4 ? { kind: 'wrong-length', by: -1000 } : undefined)],
  ];
  for (const [what, fault] of passing) {
    it.each(['toy', 'wide'])(`that ${what} gives the same bytes (%s)`, async (name) => {
      hub.fault = ({ file }) => (SHARD.test(file) ? fault(askedNow(file) - 1) : undefined);
      const [got, expected] = await readBoth(`some/${name}`, name === 'toy' ? toy : wide);
      expect(Buffer.compare(got, expected)).toBe(0);
    });
  }

  /** Requests for a file in this test. */
  const askedNow = (name: string) => hub.requests.filter(({ file }) => file === name).length;

  it('without ranges is read whole where that is not too much', async () => {
    hub.fault = ({ file }) => (SHARD.test(file) ? { kind: 'no-ranges' } : undefined);
    const [got, expected] = await readBoth('some/wide', wide);
    expect(Buffer.compare(got, expected)).toBe(0);
  });

  it('that limits requests for long gives the same bytes to a load that is patient', async () => {
    hub.fault = ({ file }) =>
      SHARD.test(file) && askedNow(file) <= 6 ? { kind: 'status', status: 429 } : undefined;
    const retry = { attempts: 1, pause: 1, longest: 1, patience: 10_000 };
    let waits = 0;
    const options = { retry, onWait: (waiting: boolean) => void (waits += waiting ? 1 : 0) };
    const store = hubStore({ endpoint: hub.endpoint, repository: 'some/toy', revision: 'main' }, options);
    const { source, start, end } = (await openCheckpoint(store)).tensors.get(TENSOR)!;
    const got = await source.read(start, end);
    expect(Buffer.compare(got, toy.get(source.name)!.read(start, end))).toBe(0);
    expect(waits).toBeGreaterThanOrEqual(6);
  });

  it('that sends requests on is asked for an address of a large file once, and again where that has expired', async () => {
    const largest = [...wide].sort(([, a], [, b]) => b.size - a.size)[0]![0];
    const seen = () => hub.requests.filter(({ file }) => file === largest);
    hub.fault = ({ file, signed }) => {
      if (!SHARD.test(file)) return undefined;
      if (signed === undefined) return { kind: 'redirect' };
      const uses = hub.requests.filter((other) => other.signed === signed).length;
      return file === largest && uses > 3 ? { kind: 'status', status: 403 } : undefined;
    };
    const { tensors } = await openCheckpoint(open('some/wide'));
    const { source, start, end } = tensors.get(TENSOR)!;
    expect(source.name).toBe(largest);
    const size = Math.ceil((end - start) / 40);
    const answered = () => seen().filter(({ signed }) => signed === undefined).length;
    expect(answered()).toBe(1);
    for (let at = start; at < start + 6 * size; at += size) {
      const got = await source.read(at, at + size);
      expect(Buffer.compare(got, wide.get(largest)!.read(at, at + size))).toBe(0);
    }
    expect(answered()).toBeGreaterThan(1);
    expect(answered()).toBeLessThan(seen().filter(({ signed }) => signed !== undefined).length / 2);
  });

  const lasting: [string, string, (asked: number) => HubFault | undefined, RegExp][] = [
    ['keeps failing', 'wide', () => ({ kind: 'status', status: 500 }), /the server answered 500/],
    [
      'has other content later',
      'wide',
      (n) => (n > 1 ? { kind: 'changed' } : undefined),
      /changed on the server/,
    ],
    [
      'sends a page of HTML',
      'wide',
      (n) => (n > 2 ? { kind: 'html' } : undefined),
      /the server sent a web page in its place/,
    ],
    [
      'sends too much',
      'wide',
      (n) => (n > 2 ? { kind: 'wrong-length', by: 10 } : undefined),
      /is longer than/,
    ],
    [
      'loses a file',
      'toy',
      () => ({ kind: 'status', status: 404, errorCode: 'EntryNotFound' }),
      /lacks model-0000/,
    ],
    ['is gated', 'toy', () => ({ kind: 'status', status: 403, errorCode: 'GatedRepo' }), /gated/],
  ];
  for (const [what, name, fault, message] of lasting) {
    it(`that ${what} is told of`, async () => {
      hub.fault = ({ file }) => (SHARD.test(file) ? fault(askedNow(file)) : undefined);
      await expect(readBoth(`some/${name}`, wide)).rejects.toThrow(message);
    });
  }

  it.each([
    ['some/nothing', 'main', /no such repository, or it is private/],
    ['some/toy', 'v2', /no such revision/],
    ['some/text', 'main', /config\.json is not valid JSON/],
  ])('%s@%s is told of', async (repository, revision, message) => {
    await expect(openCheckpoint(open(repository, revision))).rejects.toThrow(message);
  });

  it('is left alone once reading is given up', async () => {
    const stop = new AbortController();
    hub.fault = () => ({ kind: 'status', status: 503, retryAfter: 60 });
    const store = hubStore(
      { endpoint: hub.endpoint, repository: 'some/toy', revision: 'main' },
      { signal: stop.signal, retry: { attempts: 9, pause: 60_000, longest: 60_000 } },
    );
    const opening = openCheckpoint(store);
    await expect.poll(() => hub.requests.length).toBe(1);
    stop.abort(new Error('enough'));
    await expect(opening).rejects.toThrow('enough');
  });
});
