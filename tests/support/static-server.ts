import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { serveFolder } from '../../src/cli/serve-folder';

/** How a host differs from the plainest one. */
export interface HostOptions {
  /**
   * Whatever the browser takes compressed is sent so: in chunks, without a length. It asks for byte ranges of the
   * file itself (`accept-encoding: identity`) and gets them.
   */
  encoding?: 'gzip' | 'br';
  /** Media types by ending that the host has wrong. */
  types?: Record<string, string>;
  /** Sent as a header with every file. Its violations are collected in `reports`. */
  contentSecurityPolicy?: string;
  /** Put before the script of the engine's worker. */
  workerPrologue?: string;
}

/** A running host. */
export interface StaticHost {
  /** Where the page is: under a sub-path. */
  url: string;
  /** Paths that were asked for and are not there. */
  missing: string[];
  /** Violations of the header's policy, as the browser reported them. */
  reports: string[];
  close(): Promise<void>;
}

// What the page's files need. A file of another kind has no type here, and with `nosniff` a browser uses it for
// nothing that needs one: a new kind of script or wasm file would be noticed.
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.woff2': 'font/woff2',
  '.mp4': 'video/mp4',
};

const BASE = '/some/where/';

/** Serves a folder as a static host does: no server logic, no cross-origin isolation, under a sub-path. */
export async function startStaticHost(folder: string, options: HostOptions = {}): Promise<StaticHost> {
  const missing: string[] = [];
  const reports: string[] = [];
  const typeOf = (name: string) =>
    options.types?.[extname(name)] ?? TYPES[extname(name)] ?? 'application/octet-stream';
  const plain = serveFolder(folder, typeOf);
  const bodies = new Map<string, Promise<Buffer>>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent((request.url ?? '/').split('?')[0]!);
    if (path === '/csp-report') {
      reports.push(await textOf(request));
      response.writeHead(204).end();
      return;
    }
    response.on('finish', () => response.statusCode === 404 && missing.push(path));
    if (!path.startsWith(BASE)) {
      response.writeHead(404).end();
      return;
    }
    const name = path === BASE ? 'index.html' : path.slice(BASE.length);
    response.setHeader('x-content-type-options', 'nosniff');
    if (options.contentSecurityPolicy)
      response.setHeader(
        'content-security-policy',
        `${options.contentSecurityPolicy}; report-uri /csp-report`,
      );
    const prologue = /(^|\/)worker-[^/]*\.js$/.test(name) ? (options.workerPrologue ?? '') : '';
    const accepted = (request.headers['accept-encoding'] ?? '').split(/[,;] */);
    const encoding = options.encoding && accepted.includes(options.encoding) ? options.encoding : undefined;
    if (!encoding && !prologue) {
      request.url = `/${name}`;
      await plain(request, response);
      return;
    }
    let body = bodies.get(name);
    if (!body) {
      body = readFile(join(folder, name)).then((bytes) =>
        compress(Buffer.concat([Buffer.from(prologue), bytes]), encoding),
      );
      bodies.set(name, body);
    }
    const bytes = await body.catch(() => undefined);
    if (!bytes) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': typeOf(name),
      ...(encoding ? { 'content-encoding': encoding } : {}),
    });
    response.write(bytes);
    response.end();
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${BASE}`,
    missing,
    reports,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function compress(bytes: Buffer, encoding: 'gzip' | 'br' | undefined): Buffer {
  if (encoding === 'gzip') return gzipSync(bytes, { level: 1 });
  if (encoding === 'br')
    return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
  return bytes;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
