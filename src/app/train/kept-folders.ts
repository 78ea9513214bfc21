import type { FolderHandle } from './video-folder';

const STORE = 'folders';

/**
 * Keeps the handle of a run's folder in IndexedDB, so that after a reload only the permission is asked for. Where that
 * cannot be, the folder is chosen again.
 */
export function keepFolder(run: string, handle: FolderHandle): Promise<unknown> {
  return inStore('readwrite', (store) => store.put(handle, run)).catch(() => undefined);
}

/** The handle that was kept for a run. */
export function keptFolder(run: string): Promise<FolderHandle | undefined> {
  return inStore<FolderHandle | undefined>('readonly', (store) => store.get(run)).catch(() => undefined);
}

/** Forgets the handle of a run that is deleted. */
export function forgetFolder(run: string): Promise<unknown> {
  return inStore('readwrite', (store) => store.delete(run)).catch(() => undefined);
}

async function inStore<T>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  const opening = indexedDB.open('train', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = (await done(opening)) as IDBDatabase;
  try {
    return (await done(use(database.transaction(STORE, mode).objectStore(STORE)))) as T;
  } finally {
    database.close();
  }
}

function done(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed.'));
  });
}
