import { formatBytes } from '../gpu/format-bytes';
import { type ByteSource, checkRange, memorySource } from './byte-source';
import { CheckpointError } from './errors';
import { PassingError, type RequestOptions, requestOnce, withRetry } from './retry';

// A file up to this size comes in one request: fewer round trips than one for every few tensors.
const WHOLE_FILE_BYTES = 64 * 2 ** 20;
// A server without range requests sends a file whole, and it stays in memory until its tensors are read.
const MOST_WITHOUT_RANGES = 2 ** 30;

/**
 * A file behind a URL. Small files are fetched once, as a stream: a read returns as soon as its own bytes are there.
 * Larger ones are read by range requests. A server without range requests gets one request for the whole file. What
 * fails in passing is asked for again, from the byte at which it broke off.
 * @returns undefined where the server has no such file (404, or a page of HTML in its place).
 * @throws CheckpointError for any other answer, and where the file changes between two answers.
 */
export async function openUrl(
  url: string,
  name: string,
  options: RequestOptions = {},
): Promise<ByteSource | undefined> {
  const file = new RemoteFile(url, name, options);
  const probe = await file.request('bytes=0-0');
  options.onAnswer?.(probe);
  const refused = whyRefused(probe);
  if (refused) {
    await probe.body?.cancel();
    throw new CheckpointError(`${name} could not be read: ${refused}`);
  }
  // Development servers answer an unknown path with the page itself.
  if (probe.status === 404 || isHtml(probe)) {
    await probe.body?.cancel();
    return undefined;
  }
  file.remember(probe);
  const total = probe.status === 206 ? file.size : undefined;
  if (total === undefined && probe.status !== 206) return wholeFile(file, await file.checked(probe, 200));
  // Without the header of the range, a page may not know how long the file is, nor what it got.
  await (await file.checked(probe, 206)).body?.cancel();
  if (total === undefined || total <= WHOLE_FILE_BYTES)
    return wholeFile(file, await file.checked(await file.request(undefined), 200), total);
  const source: ByteSource = {
    name,
    size: total,
    ...(file.tag ? { tag: file.tag } : {}),
    async read(start, end) {
      checkRange(source, start, end);
      const bytes = new Uint8Array(end - start);
      if (start < end) await file.receive(bytes, start, 0);
      return bytes;
    },
  };
  return source;
}

/** Requests for one file, and what must stay the same between them. */
class RemoteFile {
  /** Bytes, where an answer has told. */
  size: number | undefined;
  /** What names the content, where the server says it. */
  tag: string | undefined;

  constructor(
    private readonly url: string,
    readonly name: string,
    readonly options: RequestOptions,
  ) {}

  /** An answer, whatever it says; passing failures are tried again. */
  request(range: string | undefined): Promise<Response> {
    return withRetry(this.options, () => this.once(range));
  }

  /** Keeps what the first answer says of the file. */
  remember(response: Response): void {
    this.size = totalOf(response);
    this.tag = tagOf(response);
  }

  /** The answer itself, where it has the status that was expected and speaks of the same file. */
  async checked(response: Response, status: number): Promise<Response> {
    const tag = tagOf(response);
    const size = totalOf(response);
    const problem =
      response.status !== status
        ? `the server answered ${response.status}${status === 206 ? ' to a range request' : ''}`
        : isHtml(response)
          ? 'the server answered with a page of HTML in its place'
          : (this.tag !== undefined && tag !== undefined && tag !== this.tag) ||
              (this.size !== undefined && size !== undefined && size !== this.size)
            ? 'it changed on the server while it was read. Load the model again'
            : undefined;
    if (problem === undefined) return response;
    await response.body?.cancel();
    throw new CheckpointError(`${this.name} could not be read: ${problem}.`);
  }

  /**
   * Fills `bytes` from `[received]` on with the file's from byte `start + received` on.
   * @param onBytes called with the number that is there, as it grows.
   */
  async receive(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    received: number,
    onBytes: (received: number) => void = () => {},
  ): Promise<void> {
    const end = start + bytes.byteLength;
    let at = received;
    await withRetry(this.options, async () => {
      const response = await this.checked(await this.once(`bytes=${start + at}-${end - 1}`), 206);
      await fill(this.name, response, bytes, at, start, (count) => {
        at = count;
        onBytes(count);
      });
    });
  }

  private once(range: string | undefined): Promise<Response> {
    const { signal } = this.options;
    return requestOnce(this.url, this.name, {
      ...(signal ? { signal } : {}),
      ...(range ? { headers: { Range: range } } : {}),
    });
  }
}

/**
 * Writes a body into `bytes` from `at` on, to their end.
 * @param start the file's byte at `bytes[0]`, for messages.
 * @param onBytes called with the number of bytes that are there, as it grows.
 * @throws PassingError where it ends before.
 */
async function fill(
  name: string,
  response: Response,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  start: number,
  onBytes: (received: number) => void,
): Promise<void> {
  const reader = response.body!.getReader();
  let received = at;
  for (;;) {
    // A connection that breaks off and a body that ends early are the same to the reader of the file.
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    if (done || !value) break;
    if (received + value.byteLength > bytes.byteLength) {
      await reader.cancel();
      throw new CheckpointError(
        `${name} is longer than the ${start + bytes.byteLength} bytes that the server announced.`,
      );
    }
    bytes.set(value, received);
    received += value.byteLength;
    onBytes(received);
  }
  if (received < bytes.byteLength)
    throw new PassingError(
      `${name} broke off at byte ${start + received}; ${start + bytes.byteLength} were expected. Try again.`,
    );
}

/**
 * A body as a source. Its length is known before its end only where it is sent as it is: of a file that is kept or
 * sent compressed (a browser's cache may do so) `content-length`, and a range's total too, count compressed bytes.
 * @param announced the total that an earlier answer gave; then the server has ranges.
 */
async function wholeFile(file: RemoteFile, response: Response, announced?: number): Promise<ByteSource> {
  const { name } = file;
  const size = Number(response.headers.get('content-length') ?? announced);
  if (size > MOST_WITHOUT_RANGES) {
    await response.body?.cancel();
    throw new CheckpointError(
      `${name} has ${formatBytes(size)}, and the server sends files only as a whole (no range requests). Download the files and choose their folder.`,
    );
  }
  const plain = size > 0 && size === (announced ?? size) && !response.headers.get('content-encoding');
  if (plain) return streamSource(file, size, response, announced !== undefined);
  try {
    const source = memorySource(name, new Uint8Array(await response.arrayBuffer()));
    return file.tag ? Object.assign(source, { tag: file.tag }) : source;
  } catch (cause) {
    file.options.signal?.throwIfAborted();
    throw new CheckpointError(
      `${name} could not be read to its end: ${cause instanceof Error ? cause.message : String(cause)}. Try again.`,
    );
  }
}

/** A body that is being received: reads wait until their last byte has arrived. */
function streamSource(file: RemoteFile, size: number, response: Response, ranges: boolean): ByteSource {
  const { name } = file;
  const bytes = new Uint8Array(size);
  let received = 0;
  let failure: { cause: unknown } | undefined;
  let wake: (() => void)[] = [];
  const wakeAll = () => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };
  const onBytes = (count: number) => {
    received = count;
    wakeAll();
  };
  void (async () => {
    try {
      await fill(name, response, bytes, 0, 0, onBytes).catch((cause: unknown) => {
        if (!ranges || !(cause instanceof PassingError)) throw cause;
        file.options.signal?.throwIfAborted();
        return file.receive(bytes, 0, received, onBytes);
      });
    } catch (cause) {
      failure = { cause };
    }
    wakeAll();
  })();
  const source: ByteSource = {
    name,
    size,
    ...(file.tag ? { tag: file.tag } : {}),
    async read(start, end) {
      checkRange(source, start, end);
      while (received < end) {
        if (failure) throw failure.cause;
        await new Promise<void>((resolve) => wake.push(resolve));
      }
      return bytes.subarray(start, end);
    },
  };
  return source;
}

/** Bytes of the whole file by the header of a range. */
function totalOf(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

/** What names the content: a hub's own tag of a large file, or the usual one, weak or not. */
function tagOf(response: Response): string | undefined {
  if (response.headers.get('content-encoding')) return undefined;
  const tag = response.headers.get('x-linked-etag') ?? response.headers.get('etag');
  return tag?.replace(/^W\//, '');
}

function isHtml(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('text/html') ?? false;
}

/** Why a host does not give a repository's files, where it is not the file that is missing. */
function whyRefused({ status, headers }: Response): string | undefined {
  const code = headers.get('x-error-code');
  if (code === 'RevisionNotFound') return 'the repository has no such revision. Check the name behind the @.';
  if (code === 'GatedRepo')
    return 'the repository is gated: its owner gives it on request. Download it, then choose its folder.';
  if (code === 'RepoNotFound' || status === 401)
    return 'there is no such repository, or it is private. Check its name; download a private one, then choose its folder.';
  if (status === 403)
    return 'the server does not allow it (403). Download the files, then choose their folder.';
  return undefined;
}
