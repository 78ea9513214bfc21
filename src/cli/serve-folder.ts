import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, normalize, sep } from 'node:path';

const BYTES = 'application/octet-stream';

/**
 * Serves the files under a folder, with single byte ranges. Anything that is not a file there is a 404.
 * `typeOf` gives the media type of a file's name; without it everything is bytes.
 */
export function serveFolder(folder: string, typeOf: (name: string) => string = () => BYTES) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const name = normalize(decodeURIComponent((request.url ?? '/').split('?')[0]!));
    const path = join(folder, name);
    const info = name.includes(`..${sep}`) ? undefined : await stat(path).catch(() => undefined);
    if (!info?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = Math.min(range?.[2] ? Number(range[2]) : info.size - 1, info.size - 1);
    const headers = { 'content-type': typeOf(name), 'content-length': end - start + 1 };
    if (range && start >= info.size) {
      response.writeHead(416, { 'content-range': `bytes */${info.size}` }).end();
      return;
    }
    if (range) response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${end}/${info.size}` });
    else response.writeHead(200, headers);
    if (request.method === 'HEAD' || info.size === 0) response.end();
    else createReadStream(path, { start, end }).pipe(response);
  };
}
