import { StorageError } from '../../src/storage/errors';
import type { FileContent, Folder, FolderEntry } from '../../src/storage/folder';
import { KeptModels } from '../../src/storage/kept-models';
import type { Locks } from '../../src/storage/locks';

/** A folder in memory that can be full, and stop in the middle of a row of writes as a closing tab does. */
export class MemoryFolder implements Folder {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Writes until the tab is closed. */
  writesLeft = Number.POSITIVE_INFINITY;
  full = false;

  async open(path: string): Promise<Blob | undefined> {
    const bytes = this.files.get(path);
    return bytes && new Blob([bytes]);
  }

  async write(path: string, content: FileContent): Promise<void> {
    this.admit();
    this.files.set(path, new Uint8Array(await new Blob([content]).arrayBuffer()));
  }

  async append(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    this.admit();
    const before = this.files.get(path) ?? new Uint8Array();
    this.files.set(path, new Uint8Array(await new Blob([before, content]).arrayBuffer()));
  }

  async cut(path: string, bytes: number): Promise<void> {
    this.admit();
    const before = this.files.get(path);
    if (before) this.files.set(path, before.slice(0, bytes));
  }

  async list(path: string): Promise<FolderEntry[]> {
    const entries = new Map<string, FolderEntry>();
    for (const [file, bytes] of this.files) {
      if (!file.startsWith(`${path}/`)) continue;
      const [name, ...below] = file.slice(path.length + 1).split('/') as [string, ...string[]];
      const kind = below.length ? 'folder' : 'file';
      entries.set(name, { name, kind, bytes: below.length ? 0 : bytes.length });
    }
    return [...entries.values()];
  }

  async remove(path: string): Promise<void> {
    for (const file of [...this.files.keys()])
      if (file === path || file.startsWith(`${path}/`)) this.files.delete(file);
  }

  private admit(): void {
    if (this.full) throw new StorageError('full', 'Storage is full.');
    if (this.writesLeft <= 0) throw new Error('The tab is closed.');
    this.writesLeft -= 1;
  }
}

/** Locks of one tab among several that share `held`. */
export class MemoryLocks implements Locks {
  constructor(private readonly names = new Set<string>()) {}

  async take(name: string): Promise<(() => void) | undefined> {
    if (this.names.has(name)) return undefined;
    this.names.add(name);
    return () => this.names.delete(name);
  }

  async held(): Promise<Set<string>> {
    return new Set(this.names);
  }
}

/** The models of an empty disk, with the folder and the names of the locks that are held. */
export function modelsInMemory(): { folder: MemoryFolder; locks: Set<string>; models: KeptModels } {
  const folder = new MemoryFolder();
  const locks = new Set<string>();
  return { folder, locks, models: new KeptModels(folder, new MemoryLocks(locks)) };
}
