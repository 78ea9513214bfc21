import { openAsBlob } from 'node:fs';
import { appendFile, mkdir, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileContent, Folder, FolderEntry } from '../../storage/folder';
import type { Locks } from '../../storage/locks';

/** A folder on disk in the place of the browser's private files. */
export class DiskFolder implements Folder {
  constructor(private readonly root: string) {}

  async open(path: string): Promise<Blob | undefined> {
    return orMissing(() => openAsBlob(join(this.root, path)));
  }

  async write(path: string, content: FileContent): Promise<void> {
    const to = await this.ready(path);
    await writeFile(`${to}.new`, content instanceof Blob ? content.stream() : content);
    await rename(`${to}.new`, to);
  }

  async append(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    await appendFile(await this.ready(path), content);
  }

  async cut(path: string, bytes: number): Promise<void> {
    const file = join(this.root, path);
    const info = await orMissing(() => stat(file));
    if (info && info.size > bytes) await truncate(file, bytes);
  }

  async list(path: string): Promise<FolderEntry[]> {
    const folder = join(this.root, path);
    const entries = (await orMissing(() => readdir(folder, { withFileTypes: true }))) ?? [];
    return Promise.all(
      entries.map(async (entry): Promise<FolderEntry> => {
        if (entry.isDirectory()) return { name: entry.name, kind: 'folder', bytes: 0 };
        return { name: entry.name, kind: 'file', bytes: (await stat(join(folder, entry.name))).size };
      }),
    );
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.root, path), { recursive: true, force: true });
  }

  private async ready(path: string): Promise<string> {
    const file = join(this.root, path);
    await mkdir(dirname(file), { recursive: true });
    return file;
  }
}

/** Locks where there is no other tab. */
export function lonelyLocks(): Locks {
  const names = new Set<string>();
  return {
    async take(name) {
      if (names.has(name)) return undefined;
      names.add(name);
      return () => names.delete(name);
    },
    held: async () => new Set(names),
  };
}

async function orMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (cause) {
    const { code } = cause as { code?: string };
    // What a Blob of a missing file is refused with.
    if (code === 'ENOENT' || code === 'ERR_INVALID_ARG_VALUE') return undefined;
    throw cause;
  }
}
