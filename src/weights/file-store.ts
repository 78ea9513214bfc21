import { type ByteSource, blobSource, memorySource } from './byte-source';
import { openUrl } from './url-source';

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

/** A folder behind a URL, e.g. `models/toy/`. It cannot list its files. */
export function urlStore(base: string, signal?: AbortSignal): FileStore {
  const folder = base.endsWith('/') ? base : `${base}/`;
  return storeOf(base, (name) => openUrl(folder + name, name, signal));
}

/** Files that the user dropped or picked; of a path only the last part counts. */
export function blobStore(files: Iterable<File>, name = 'the chosen files'): FileStore {
  const byName = new Map<string, File>();
  for (const file of files) byName.set(file.name, file);
  return storeOf(
    name,
    async (file) => {
      const blob = byName.get(file);
      return blob && blobSource(file, blob);
    },
    async () => [...byName.keys()],
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
