import { type ByteSource, checkRange, memorySource } from './byte-source';
import { CheckpointError } from './errors';

// A file up to this size comes in one request: fewer round trips than one for every few tensors.
const WHOLE_FILE_BYTES = 64 * 2 ** 20;

/**
 * A file behind a URL. Small files are fetched once, as a stream: a read returns as soon as its own bytes are there.
 * Larger ones are read by range requests. A server without range requests gets one request for the whole file.
 * @returns undefined where the server has no such file (404, or a page of HTML in its place).
 * @throws CheckpointError for any other answer.
 */
export async function openUrl(
  url: string,
  name: string,
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  const init: RequestInit = signal ? { signal } : {};
  const response = await request(url, name, { ...init, headers: { Range: 'bytes=0-0' } });
  // Development servers answer an unknown path with the page itself.
  if (response.status === 404 || response.headers.get('content-type')?.startsWith('text/html')) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw new CheckpointError(`${name} could not be read: the server answered ${response.status}.`);
  }
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (response.status !== 206 || total === undefined) return bodySource(name, response);
  await response.body?.cancel();
  const size = Number(total);
  if (size <= WHOLE_FILE_BYTES) return bodySource(name, await request(url, name, init), size);
  const source: ByteSource = {
    name,
    size,
    async read(start, end) {
      checkRange(source, start, end);
      if (start === end) return new Uint8Array(0);
      const part = await request(url, name, { ...init, headers: { Range: `bytes=${start}-${end - 1}` } });
      if (part.status !== 206) {
        await part.body?.cancel();
        throw new CheckpointError(
          `${name} could not be read: the server answered ${part.status} to a range request.`,
        );
      }
      const bytes = new Uint8Array(await part.arrayBuffer());
      if (bytes.byteLength !== end - start) throw endsEarly(name, start + bytes.byteLength, end);
      return bytes;
    },
  };
  return source;
}

async function request(url: string, name: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new CheckpointError(
      `${name} could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}. Check the connection and try again.`,
    );
  }
}

/**
 * A body as a source. Its length is known before its end only where it is sent as it is: of a file that is kept or
 * sent compressed (a browser's cache may do so) `content-length`, and a range's total too, count compressed bytes.
 * @param announced the total that an earlier answer gave.
 */
async function bodySource(name: string, response: Response, announced?: number): Promise<ByteSource> {
  if (!response.ok) {
    await response.body?.cancel();
    throw new CheckpointError(`${name} could not be read: the server answered ${response.status}.`);
  }
  const size = Number(response.headers.get('content-length') ?? announced);
  const plain = size > 0 && size === (announced ?? size) && !response.headers.get('content-encoding');
  if (plain) return streamSource(name, size, response);
  return memorySource(name, new Uint8Array(await response.arrayBuffer()));
}

function endsEarly(name: string, got: number, wanted: number): CheckpointError {
  return new CheckpointError(`${name} broke off at byte ${got}; ${wanted} were expected. Try again.`);
}

/** A body that is being received: reads wait until their last byte has arrived. */
function streamSource(name: string, size: number, response: Response): ByteSource {
  if (!response.ok || !response.body) {
    throw new CheckpointError(`${name} could not be read: the server answered ${response.status}.`);
  }
  const bytes = new Uint8Array(size);
  let received = 0;
  let failure: unknown;
  let wake: (() => void)[] = [];
  const wakeAll = () => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };
  void (async () => {
    try {
      const reader = response.body!.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (received + value.byteLength > size) {
          throw new CheckpointError(`${name} is longer than the ${size} bytes that the server announced.`);
        }
        bytes.set(value, received);
        received += value.byteLength;
        wakeAll();
      }
      if (received < size) failure = endsEarly(name, received, size);
    } catch (cause) {
      failure = cause;
    }
    wakeAll();
  })();
  const source: ByteSource = {
    name,
    size,
    async read(start, end) {
      checkRange(source, start, end);
      while (received < end) {
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => wake.push(resolve));
      }
      return bytes.subarray(start, end);
    },
  };
  return source;
}
