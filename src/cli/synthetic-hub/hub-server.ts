import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HubFile, HubRepository } from './repository';

/** Something that goes wrong with an answer. */
export type HubFault =
  /** The answer comes in pieces, with pauses of so many milliseconds. */
  | { kind: 'slow'; ms: number }
  /** The connection ends after so many bytes of a body that is longer. */
  | { kind: 'cut'; after: number }
  /** The body has so many bytes more (or, negative, fewer) than the header of the range says; no content-length. */
  | { kind: 'wrong-length'; by: number }
  | { kind: 'status'; status: number; retryAfter?: number; errorCode?: string }
  /** Ranges are not known to this server. */
  | { kind: 'no-ranges' }
  /** Another file of the same name. */
  | { kind: 'changed' }
  /** A page in place of the data, with status 200. */
  | { kind: 'html' }
  /** The request is sent on to another origin, where what it gets is its next fault. */
  | { kind: 'redirect' }
  /** Pages of other origins see none of the headers that they must be shown: neither range nor tag. */
  | { kind: 'hidden-headers' };

/** A request for a file, as the faults see it. */
export interface HubRequest {
  repository: string;
  revision: string;
  file: string;
  /** `[first, last]`, both included. */
  range?: [number, number];
  /** How often this file was asked for before. */
  earlier: number;
  /** It was sent on to the other origin: the number of its address there, of all that were given, from 1. */
  signed?: number;
}

/** A running hub. */
export interface SyntheticHub {
  /** `http://127.0.0.1:PORT`, without a slash. */
  endpoint: string;
  /** What goes wrong with a request; undefined: nothing. */
  fault: (request: HubRequest) => HubFault | undefined;
  /** Requests for files, oldest first. */
  requests: HubRequest[];
  /** Bytes of files that were sent. */
  bytesSent: number;
  close(): Promise<void>;
}

/** The commit that every revision stands for. */
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

const PATH = /^\/([\w.-]+\/[\w.-]+)\/resolve\/([\w.%-]+)\/([^?]+)(?:\?signed=(\d+))?$/;
const PIECE = 2 ** 20;

/**
 * Serves repositories at a model hub's addresses, `/owner/name/resolve/revision/file`, with byte ranges, for pages of
 * any origin, on a port that is free.
 */
export async function startSyntheticHub(
  repositories: ReadonlyMap<string, HubRepository>,
): Promise<SyntheticHub> {
  const asked = new Map<string, number>();
  let signatures = 0;
  const serve = () =>
    createServer((request, response) => {
      void answer(request, response).catch(() => response.destroy());
    });
  // The other origin, that requests are sent on to.
  const [server, store] = [serve(), serve()];
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-expose-headers', 'content-range, etag, x-repo-commit, x-error-code');
    response.setHeader('cache-control', 'no-store');
    const match = PATH.exec(request.url ?? '/');
    const repository = match && repositories.get(match[1]!);
    if (!match || !repository) return refuse(response, 401, 'RepoNotFound');
    const [id, revision, name, number] = match.slice(1).map((part = '') => decodeURIComponent(part)) as [
      string,
      string,
      string,
      string,
    ];
    const signed = number ? { signed: Number(number) } : {};
    if (revision !== 'main' && revision !== COMMIT) return refuse(response, 404, 'RevisionNotFound');
    const file = repository.get(name);
    if (!file) return refuse(response, 404, 'EntryNotFound');
    const range = rangeOf(request.headers.range, file.size);
    const earlier = asked.get(name) ?? 0;
    asked.set(name, earlier + 1);
    const seen: HubRequest = {
      ...{ repository: id, revision, file: name, earlier },
      ...(range ? { range } : {}),
      ...signed,
    };
    hub.requests.push(seen);
    const fault = hub.fault(seen);
    if (!number) response.setHeader('x-repo-commit', COMMIT);
    if (fault?.kind === 'redirect' && !number) {
      response.writeHead(302, { location: `${addressOf(store)}${request.url}?signed=${++signatures}` });
      response.end();
    } else await send(response, file, range, fault);
  }
  async function send(
    response: ServerResponse,
    file: HubFile,
    range: [number, number] | undefined,
    fault: HubFault | undefined,
  ): Promise<void> {
    if (fault?.kind === 'status') {
      if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
      return refuse(response, fault.status, fault.errorCode);
    }
    if (fault?.kind === 'hidden-headers') response.removeHeader('access-control-expose-headers');
    if (fault?.kind === 'html') {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>Sign in</title>');
      return;
    }
    const partial = range !== undefined && fault?.kind !== 'no-ranges';
    const [first, last] = partial ? range : [0, file.size - 1];
    const wrong = fault?.kind === 'wrong-length' ? fault.by : 0;
    const end = fault?.kind === 'cut' ? Math.min(last + 1, first + fault.after) : last + 1 + wrong;
    response.setHeader('content-type', 'application/octet-stream');
    response.setHeader('etag', fault?.kind === 'changed' ? '"another"' : file.etag);
    if (wrong === 0) response.setHeader('content-length', last + 1 - first);
    if (partial) response.setHeader('content-range', `bytes ${first}-${last}/${file.size}`);
    response.writeHead(partial ? 206 : 200);
    for (let at = first; at < end; at += PIECE) {
      const to = Math.min(end, at + PIECE);
      const inFile = file.read(Math.min(at, file.size), Math.min(to, file.size));
      const body = inFile.byteLength === to - at ? inFile : Buffer.concat([inFile], to - at);
      hub.bytesSent += body.byteLength;
      if (!response.write(body)) await drained(response);
      if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms));
    }
    if (end < last + 1 && fault?.kind === 'cut') response.destroy();
    else response.end();
  }
  for (const one of [server, store])
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
  const hub: SyntheticHub = {
    endpoint: addressOf(server),
    fault: () => undefined,
    requests: [],
    bytesSent: 0,
    close: async () => {
      for (const one of [server, store])
        await new Promise<void>((resolve) => {
          one.close(() => resolve());
          one.closeAllConnections();
        });
    },
  };
  return hub;
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function refuse(response: ServerResponse, status: number, code?: string): void {
  if (code) response.setHeader('x-error-code', code);
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(code ?? '');
}

function rangeOf(header: string | undefined, size: number): [number, number] | undefined {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header ?? '');
  return match ? [Number(match[1]), Math.min(Number(match[2]), size - 1)] : undefined;
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      response.off('drain', settle);
      response.off('close', settle);
      if (response.destroyed) reject(new Error('The connection was closed.'));
      else resolve();
    };
    response.on('drain', settle);
    response.on('close', settle);
  });
}
