import { type ByteSource, blobSource, memorySource } from './byte-source';
import { CheckpointError } from './errors';
import type { RequestOptions } from './retry';
import { openUrl } from './url-source';

/** Larger files are no configuration or tokenizer. */
const SMALL_FILE_BYTES = 64 * 2 ** 20;

/** What small files of a store, each fetched whole, may take in memory together. */
const WHOLE_BYTES = 24 * 2 ** 20;

/** A checkpoint folder: files by name. */
export interface FileStore {
  /** What to call the folder in messages. */
  readonly name: string;
  /** Names of the files, where the store can tell. */
  list?(): Promise<string[]>;
  /** Opens a file; undefined where there is none of that name. */
  open(name: string): Promise<ByteSource | undefined>;
  /** A whole small text file (UTF-8); undefined where there is none of that name. */
  text(name: string): Promise<string | undefined>;
}

/** Reads a whole small file as UTF-8. */
export async function readText(source: ByteSource): Promise<string> {
  return new TextDecoder().decode(await source.read(0, source.size));
}

function storeOf(
  name: string,
  open: (name: string) => Promise<ByteSource | undefined>,
  list?: () => Promise<string[]>,
): FileStore {
  return {
    name,
    open,
    async text(file) {
      const source = await open(file);
      return source && readText(source);
    },
    ...(list ? { list } : {}),
  };
}

/** A folder behind a URL, e.g. `models/toy/`, or a hub's `https://host/owner/name/resolve/main/`. It cannot list its files. */
export function urlStore(base: string, options: RequestOptions = {}): FileStore {
  const folder = base.endsWith('/') ? base : `${base}/`;
  const whole = { left: WHOLE_BYTES };
  return storeOf(base, (name) => openUrl(folder + name, name, { whole, ...options }));
}

/**
 * A checkpoint folder among files that the user picked or dropped: the folder in which the uppermost config.json lies,
 * by the files' `webkitRelativePath` (a file without one lies at the top).
 * @throws CheckpointError where several folders at the same depth have one. Without any, `open` finds no config.json.
 */
export function fileStore(files: Iterable<File>): FileStore {
  const byPath = new Map<string, File>();
  for (const file of files) byPath.set(file.webkitRelativePath || file.name, file);
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/') + 1);
  const depth = (folder: string) => folder.split('/').length;
  const folders = [...byPath.keys()].filter((path) => /(^|\/)config\.json$/.test(path)).map(folderOf);
  const least = Math.min(...folders.map(depth));
  const uppermost = folders.filter((folder) => depth(folder) === least);
  if (uppermost.length > 1) {
    throw new CheckpointError(
      `There are ${uppermost.length} models in what you chose (${uppermost.join(', ')}). Choose the folder of one.`,
    );
  }
  const root = uppermost[0] ?? folderOf(byPath.keys().next().value ?? '');
  const name = root.split('/').at(-2) ?? 'the chosen files';
  return storeOf(
    name,
    async (file) => {
      const blob = byPath.get(root + file);
      return blob && Object.assign(blobSource(file, blob), { tag: String(blob.lastModified) });
    },
    async () =>
      [...byPath.keys()].filter((path) => folderOf(path) === root).map((path) => path.slice(root.length)),
  );
}

/** A repository of a model hub. */
export interface HubRepository {
  /** The hub's address; a mirror or a local server works alike. */
  endpoint: string;
  /** `owner/name`. */
  repository: string;
  /** A branch, tag or commit. */
  revision: string;
}

/**
 * A repository's files, by the addresses that model hubs share (`/owner/name/resolve/revision/file`). The commit that
 * the hub names with the first file is asked for from then on, so that all files are of one commit.
 */
export function hubStore(
  { endpoint, repository, revision }: HubRepository,
  options: RequestOptions = {},
): FileStore & {
  /** The commit, once the hub has named it. */
  commit(): string | undefined;
} {
  let commit: string | undefined;
  const whole = { left: WHOLE_BYTES };
  const onAnswer = (response: Response) => {
    commit ??= response.headers.get('x-repo-commit') ?? undefined;
    options.onAnswer?.(response);
  };
  const store = storeOf(repository, (name) =>
    openUrl(`${endpoint.replace(/\/+$/, '')}/${repository}/resolve/${commit ?? revision}/${name}`, name, {
      whole,
      ...options,
      onAnswer,
    }),
  );
  return { ...store, commit: () => commit };
}

/** The store of a folder's URL: a hub's where the URL is of that form. */
export function storeAt(url: string, options: RequestOptions = {}): FileStore {
  const hub = /^(.+)\/([\w.-]+\/[\w.-]+)\/resolve\/([\w.-]+)\/?$/.exec(url);
  if (!hub) return urlStore(url, options);
  const [, endpoint, repository, revision] = hub as unknown as [string, string, string, string];
  return hubStore({ endpoint, repository, revision }, options);
}

/** A store whose small files are also given to `onFile`, whole, as they are opened; weight files are not. */
export function copyingStore(
  store: FileStore,
  onFile: (name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): FileStore {
  const { list } = store;
  return storeOf(
    store.name,
    async (name) => {
      const source = await store.open(name);
      if (!source || name.endsWith('.safetensors') || source.size > SMALL_FILE_BYTES) return source;
      const bytes = await source.read(0, source.size);
      await onFile(name, bytes);
      return memorySource(name, bytes);
    },
    list && (() => list.call(store)),
  );
}

/** Files in memory; strings are UTF-8 text. */
export function memoryStore(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer> | string>,
  name = 'memory',
): FileStore {
  return storeOf(
    name,
    async (file) => {
      const content = files.get(file);
      if (content === undefined) return undefined;
      return memorySource(file, typeof content === 'string' ? new TextEncoder().encode(content) : content);
    },
    async () => [...files.keys()],
  );
}

/** A folder inside of a store. */
export function subStore(store: FileStore, folder: string): FileStore {
  return storeOf(`${store.name}/${folder}`, (name) => store.open(`${folder}/${name}`));
}
