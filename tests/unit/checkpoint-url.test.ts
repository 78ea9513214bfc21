import { afterEach, describe, expect, it, vi } from 'vitest';
import { urlStore } from '../../src/weights/file-store';
import { openUrl } from '../../src/weights/url-source';

const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const BIG = 200 * 2 ** 20;
const ONCE = { retry: { attempts: 1, pause: 0, longest: 0 } };

/** A server of one file. `answer` sees the parsed range. */
function serve(answer: (range: [number, number] | undefined, signal?: AbortSignal) => Response): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit = {}) => {
    const header = new Headers(init.headers).get('range');
    asked.push(header ?? 'all');
    // Weights do not go into the browser's cache too.
    expect(init.cache).toBe(header ? 'no-store' : undefined);
    const match = /bytes=(\d+)-(\d+)/.exec(header ?? '');
    return answer(match ? [Number(match[1]), Number(match[2])] : undefined, init.signal ?? undefined);
  });
  return asked;
}

const part = (range: [number, number], total: number, body = content.slice(range[0], range[1] + 1)) =>
  new Response(body, {
    status: 206,
    headers: { 'content-range': `bytes ${range[0]}-${range[1]}/${total}` },
  });

afterEach(() => vi.unstubAllGlobals());

describe('openUrl', () => {
  it('fetches a small file once, and serves reads while it comes', async () => {
    let send: (chunk: Uint8Array<ArrayBuffer>) => void = () => {};
    const body = new ReadableStream({
      start(controller) {
        send = (chunk) => {
          controller.enqueue(chunk);
          if (chunk.at(-1) === content.at(-1)) controller.close();
        };
      },
    });
    const asked = serve((range) => (range ? part(range, 1000) : new Response(body)));
    const source = (await openUrl('u', 'm.safetensors'))!;
    expect(source.size).toBe(1000);
    const early = source.read(10, 20);
    const late = source.read(990, 1000);
    send(content.slice(0, 600));
    expect(await early).toEqual(content.slice(10, 20));
    send(content.slice(600));
    expect(await late).toEqual(content.slice(990));
    expect(asked).toEqual(['bytes=0-0', 'all']);
    await expect(source.read(0, 1001)).rejects.toThrow(/the file has 1000/);
  });

  it('reads a large file by ranges', async () => {
    const asked = serve((range) => part(range!, BIG));
    const source = (await openUrl('u', 'm', ONCE))!;
    expect(source.size).toBe(BIG);
    expect(await source.read(100, 140)).toEqual(content.slice(100, 140));
    expect(asked).toEqual(['bytes=0-0', 'bytes=100-139']);
    await expect(source.read(990, 1010)).rejects.toThrow(/m broke off at byte 1000; 1010 were expected/);
  });

  it('takes the whole file from a server without range requests', async () => {
    serve(() => new Response(content.slice(), { headers: { 'content-length': '1000' } }));
    const source = (await openUrl('u', 'm'))!;
    expect(await source.read(998, 1000)).toEqual(content.slice(998));
  });

  it('asks a server without ranges again as often as any other', async () => {
    let failing = false;
    const size = 100 * 2 ** 20;
    const asked = serve(() =>
      failing
        ? new Response('', { status: 503 })
        : new Response(content.slice(), { headers: { 'content-length': String(size) } }),
    );
    const retry = { attempts: 3, pause: 0, longest: 0 };
    const source = (await openUrl('u', 'm', { retry }))!;
    failing = true;
    await expect(source.read(0, 2000)).rejects.toThrow(/the server answered 503/);
    // The stream of the probe, which breaks off, and the two tries that are left.
    expect(asked).toEqual(['bytes=0-0', 'all', 'all']);
  });

  it('says when the file ends early or the server fails', async () => {
    serve((range) =>
      range?.[0] === 0
        ? part(range, 1000)
        : range
          ? part(range, 1000, content.slice(0, 0))
          : new Response(content.slice(0, 500)),
    );
    const source = (await openUrl('u', 'm', ONCE))!;
    expect(await source.read(0, 500)).toEqual(content.slice(0, 500));
    await expect(source.read(0, 501)).rejects.toThrow(/m broke off at byte 500; 1000 were expected/);
    serve(() => new Response('', { status: 500 }));
    await expect(openUrl('u', 'm', ONCE)).rejects.toThrow(/the server answered 500/);
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no route')));
    await expect(openUrl('u', 'm', ONCE)).rejects.toThrow(/m could not be fetched: no route/);
  });

  it('takes 404 and a page of HTML for a missing file', async () => {
    serve(() => new Response('', { status: 404 }));
    expect(await urlStore('folder').text('a.json')).toBeUndefined();
    serve(() => new Response('<!doctype html>', { headers: { 'content-type': 'text/html' } }));
    expect(await urlStore('folder').open('a.json')).toBeUndefined();
  });
});
