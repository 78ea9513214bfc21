import { formatBytes } from '../gpu/format-bytes';
import { type ByteSource, checkRange, memorySource } from './byte-source';
import { CheckpointError } from './errors';
import { fill, isHtml, RemoteFile } from './remote-file';
import { PassingError, type RequestOptions } from './retry';
import { sequentialSource } from './sequential-source';

// A file up to this size comes in one request, and stays in memory: fewer round trips than one for every few tensors.
const WHOLE_FILE_BYTES = 8 * 2 ** 20;
// What comes compressed has no length that is known beforehand, and can only be taken whole.
const MOST_OF_UNKNOWN_LENGTH = 64 * 2 ** 20;

/**
 * A file behind a URL. Small files are fetched once, as a stream: a read returns as soon as its own bytes are there.
 * Larger ones are read by range requests; from a server without those as a stream from their beginning, best in order.
 * What fails in passing is asked for again, from the byte at which it broke off.
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
  if (total === undefined || takeWhole(total, options))
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

/**
 * A body as a source. Its length is known before its end only where it is sent as it is: of a file that is kept or
 * sent compressed (a browser's cache may do so) `content-length`, and a range's total too, count compressed bytes.
 * @param announced the total that an earlier answer gave; then the server has ranges.
 */
async function wholeFile(file: RemoteFile, response: Response, announced?: number): Promise<ByteSource> {
  const { name, options } = file;
  const size = Number(response.headers.get('content-length') ?? announced);
  const plain = size > 0 && size === (announced ?? size) && !response.headers.get('content-encoding');
  if (plain && (announced !== undefined || takeWhole(size, options)))
    return streamSource(file, size, response, announced !== undefined);
  if (plain) return sequentialSource(file, size, response);
  try {
    const source = memorySource(name, await bytesOf(response, name));
    return file.tag ? Object.assign(source, { tag: file.tag }) : source;
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(
      `${name} could not be read to its end: ${cause instanceof Error ? cause.message : String(cause)}. Try again.`,
    );
  }
}

/** Whether a file is taken whole: small ones, as long as those that were taken stay few bytes in all. */
function takeWhole(size: number, { whole }: RequestOptions): boolean {
  if (size > WHOLE_FILE_BYTES || (whole && size > whole.left)) return false;
  if (whole) whole.left -= size;
  return true;
}

/** A body whose length is not known beforehand. */
async function bytesOf(response: Response, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.byteLength;
    if (size <= MOST_OF_UNKNOWN_LENGTH) continue;
    await reader.cancel();
    throw new CheckpointError(
      `${name} has more than ${formatBytes(MOST_OF_UNKNOWN_LENGTH)}, and the server sends it compressed, whole and without its length. Download the files and choose their folder.`,
    );
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
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
