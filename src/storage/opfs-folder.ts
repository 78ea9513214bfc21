import { StorageError } from './errors';
import type { FileContent, Folder, FolderEntry } from './folder';

/** The browser's private files of this site (OPFS). @throws StorageError `unavailable` where there are none. */
export async function opfsFolder(): Promise<Folder> {
  try {
    return new OpfsFolder(await navigator.storage.getDirectory());
  } catch (cause) {
    throw new StorageError(
      'unavailable',
      'This browser keeps no files for this page (a private window, perhaps), so nothing can be kept. ' +
        'Open the page in an ordinary window.',
      { cause },
    );
  }
}

class OpfsFolder implements Folder {
  constructor(private readonly root: FileSystemDirectoryHandle) {}

  async open(path: string): Promise<File | undefined> {
    return orMissing(async () => {
      const [folder, name] = await this.parent(path, false);
      return (await folder.getFileHandle(name)).getFile();
    });
  }

  async write(path: string, content: FileContent): Promise<void> {
    await orFull(async () => {
      const [folder, name] = await this.parent(path, true);
      const file = await folder.getFileHandle(name, { create: true });
      // Written beside the file, and put in its place by `close`.
      const writer = await file.createWritable();
      try {
        await writer.write(content);
        await writer.close();
      } catch (cause) {
        await writer.abort().catch(() => undefined);
        throw cause;
      }
    });
  }

  async append(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    await orFull(async () => {
      const [folder, name] = await this.parent(path, true);
      const file = await folder.getFileHandle(name, { create: true });
      if ('createSyncAccessHandle' in file) await appendInPlace(file, content);
      else {
        // Outside of a worker: the file is copied.
        const writer = await (file as FileSystemFileHandle).createWritable({ keepExistingData: true });
        await writer.seek((await (file as FileSystemFileHandle).getFile()).size);
        await writer.write(content);
        await writer.close();
      }
    });
  }

  async cut(path: string, bytes: number): Promise<void> {
    await orMissing(async () => {
      const [folder, name] = await this.parent(path, false);
      const file: FileSystemFileHandle = await folder.getFileHandle(name);
      if ((await file.getFile()).size <= bytes) return;
      if ('createSyncAccessHandle' in file) {
        const access = await file.createSyncAccessHandle();
        access.truncate(bytes);
        access.close();
        return;
      }
      // Outside of a worker: the file is copied.
      const writer = await (file as FileSystemFileHandle).createWritable({ keepExistingData: true });
      await writer.truncate(bytes);
      await writer.close();
    });
  }

  async list(path: string): Promise<FolderEntry[]> {
    const entries = await orMissing(async () => {
      const found: FolderEntry[] = [];
      const folder = await this.folder(parts(path), false);
      for await (const [name, handle] of folder.entries()) {
        // A file that is just being written has a shadow beside it in some browsers.
        if (name.endsWith('.crswap')) continue;
        const size = handle.kind === 'file' ? (await orMissing(() => handle.getFile()))?.size : 0;
        if (size !== undefined)
          found.push({ name, kind: handle.kind === 'file' ? 'file' : 'folder', bytes: size });
      }
      return found;
    });
    return entries ?? [];
  }

  async remove(path: string): Promise<void> {
    await orMissing(async () => {
      const [folder, name] = await this.parent(path, false);
      await folder.removeEntry(name, { recursive: true });
    });
  }

  private async parent(path: string, create: boolean): Promise<[FileSystemDirectoryHandle, string]> {
    const names = parts(path);
    const name = names.pop();
    if (!name) throw new Error(`"${path}" names no file.`);
    return [await this.folder(names, create), name];
  }

  private async folder(names: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> {
    let folder = this.root;
    for (const name of names) folder = await folder.getDirectoryHandle(name, { create });
    return folder;
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

async function appendInPlace(
  file: FileSystemFileHandle,
  content: string | Uint8Array<ArrayBuffer>,
): Promise<void> {
  const access = await file.createSyncAccessHandle();
  const before = access.getSize();
  try {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    if (access.write(bytes, { at: before }) !== bytes.length) throw fullError();
    access.flush();
  } catch (cause) {
    // No half a line.
    access.truncate(before);
    throw cause;
  } finally {
    access.close();
  }
}

/** What `read` gives, or undefined where a file or folder on the way lacks. */
async function orMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof DOMException && ['NotFoundError', 'TypeMismatchError'].includes(cause.name))
      return undefined;
    throw cause;
  }
}

async function orFull(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'QuotaExceededError') throw fullError(cause);
    throw cause;
  }
}

function fullError(cause?: unknown): StorageError {
  return new StorageError(
    'full',
    'Storage is full: the browser offers no more room for this page. What is there is kept. ' +
      'Delete models or runs that are no longer needed.',
    { cause },
  );
}
