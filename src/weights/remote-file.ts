import { CheckpointError } from './errors';
import { PassingError, type RequestOptions, requestOnce, withRetry } from './retry';

/** Requests for one file, and what must stay the same between them. */
export class RemoteFile {
  /** Bytes, where an answer has told. */
  size: number | undefined;
  /** What names the content, where the server says it. */
  tag: string | undefined;
  /**
   * Where the server sent a request for a range on to: later ones go there, so that a hub counts few of them. Null where
   * such an address never gave anything: then none is tried again.
   */
  private direct: { url: string; used: boolean } | null | undefined;

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
      response.ok && isHtml(response)
        ? 'the server sent a web page in its place, to sign in perhaps. Open the address in a tab of its own, then load the model again'
        : response.status !== status
          ? `the server answered ${response.status}${status === 206 ? ' to a range request' : ''}`
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

  /** As `request`, but what fails in passing is thrown: for what has its own way to try again. */
  async once(range: string | undefined): Promise<Response> {
    if (!range) return this.ask(this.url, {});
    // Not into the browser's cache: the weights are kept elsewhere, and would be on disk twice.
    const init: RequestInit = { headers: { Range: range }, cache: 'no-store' };
    const { direct } = this;
    let gone = true;
    try {
      const response = direct ? await this.ask(direct.url, init) : undefined;
      gone = response?.status !== 206;
      if (direct && response && !gone) {
        direct.used = true;
        return response;
      }
      await response?.body?.cancel();
    } finally {
      // Such addresses are signed for a while: then the server is asked for another one.
      if (direct && gone && this.direct === direct) this.direct = direct.used ? undefined : null;
    }
    const response = await this.ask(this.url, init);
    if (this.direct !== null && response.redirected && response.status === 206)
      this.direct = { url: response.url, used: false };
    return response;
  }

  private ask(url: string, init: RequestInit): Promise<Response> {
    const { signal } = this.options;
    return requestOnce(url, this.name, { ...init, ...(signal ? { signal } : {}) });
  }
}

/**
 * Writes a body into `bytes` from `at` on, to their end.
 * @param start the file's byte at `bytes[0]`, for messages.
 * @param onBytes called with the number of bytes that are there, as it grows.
 * @throws PassingError where it ends before.
 */
export async function fill(
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

/** Whether an answer is a web page. */
export function isHtml(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('text/html') ?? false;
}
