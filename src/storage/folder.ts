/** A file or folder in a folder. `bytes` is 0 for folders. */
export interface FolderEntry {
  name: string;
  kind: 'file' | 'folder';
  bytes: number;
}

/** What a file is given. */
export type FileContent = Blob | Uint8Array<ArrayBuffer> | string;

/** A folder whose files are named by paths (`runs/7/log.jsonl`); folders on the way are made where they lack. */
export interface Folder {
  /** A file as it is now; undefined where there is none. A later write may make the Blob unreadable. */
  open(path: string): Promise<Blob | undefined>;
  /** Makes or replaces a file: afterwards, and also where the tab closes meanwhile, it is the old or the new one. */
  write(path: string, content: FileContent): Promise<void>;
  /** Adds to a file's end, making it where it lacks. A closing tab may leave a part of what was added. */
  append(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void>;
  /** Cuts a file to its first `bytes`, where it has more. */
  cut(path: string, bytes: number): Promise<void>;
  /** What is in a folder, in no order; nothing where it lacks. */
  list(path: string): Promise<FolderEntry[]>;
  /** Removes a file, or a folder with all in it; nothing where it lacks. */
  remove(path: string): Promise<void>;
}

/** A file's text (UTF-8); undefined where there is none. */
export async function readText(folder: Folder, path: string): Promise<string | undefined> {
  try {
    return await (await folder.open(path))?.text();
  } catch {
    // It was written to between opening and reading: the next one is whole.
    return (await folder.open(path))?.text();
  }
}

/** Bytes of all files in a folder. */
export async function folderBytes(folder: Folder, path: string): Promise<number> {
  const entries = await folder.list(path);
  const sizes = await Promise.all(
    entries.map(({ name, kind, bytes }) =>
      kind === 'file' ? bytes : folderBytes(folder, `${path}/${name}`),
    ),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
