import { type ByteSource, checkRange } from './byte-source';
import type { RemoteFile } from './remote-file';
import { PassingError, withRetry } from './retry';

/** Up to here a stream is given up between two reads: a few streams that wait would keep others from beginning. */
const CHEAP_BYTES = 2 * 2 ** 20;

/**
 * A large file of a server without range requests: a stream from its beginning, of which only what is being read is in
 * memory. Reads in the file's order cost one request; one that goes back costs another.
 * @param response the answer to a request for the whole file, of `size` bytes.
 */
export function sequentialSource(file: RemoteFile, size: number, response: Response): ByteSource {
  const { name } = file;
  let reader = response.body?.getReader();
  /** Bytes that came and were not read yet, and where in the file they begin. */
  let rest = new Uint8Array(0);
  let at = 0;
  let tail: Promise<unknown> = Promise.resolve();

  async function close(): Promise<void> {
    const old = reader;
    reader = undefined;
    rest = new Uint8Array(0);
    at = 0;
    await old?.cancel().catch(() => undefined);
  }

  async function more(end: number): Promise<void> {
    const { done, value } = await reader!.read().catch(() => ({ done: true, value: undefined }));
    if (!done && value) {
      rest = value;
      return;
    }
    const brokenAt = at;
    await close();
    throw new PassingError(`${name} broke off at byte ${brokenAt}; ${end} were expected. Try again.`);
  }

  async function take(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start);
    let received = 0;
    await withRetry(file.options, async () => {
      if (reader && start + received < at) await close();
      reader ??= (await file.checked(await file.once(undefined), 200)).body!.getReader();
      while (received < bytes.byteLength) {
        if (rest.byteLength === 0) await more(end);
        const skipped = Math.min(rest.byteLength, start + received - at);
        const part = rest.subarray(skipped, skipped + bytes.byteLength - received);
        bytes.set(part, received);
        received += part.byteLength;
        at += skipped + part.byteLength;
        rest = rest.subarray(skipped + part.byteLength);
      }
    });
    if (at <= CHEAP_BYTES || at === size) await close();
    return bytes;
  }

  const source: ByteSource = {
    name,
    size,
    ...(file.tag ? { tag: file.tag } : {}),
    async read(start, end) {
      checkRange(source, start, end);
      const reading = tail.then(() => take(start, end));
      tail = reading.catch(() => undefined);
      return reading;
    },
  };
  return source;
}
