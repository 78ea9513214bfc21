import type { VideoFolder } from '../../worker/training-protocol';
import { folderName } from '../shared/folder-input';

/** A folder of videos that the user chose, with its handle where the browser gives one. */
export interface ChosenFolder extends VideoFolder {
  folder: string;
  handle?: FolderHandle;
}

/** What TypeScript's own types lack of a folder's handle. */
export interface FolderHandle extends FileSystemDirectoryHandle {
  queryPermission(descriptor: { mode: 'read' }): Promise<PermissionState>;
  requestPermission(descriptor: { mode: 'read' }): Promise<PermissionState>;
  values(): AsyncIterableIterator<FolderHandle | FileSystemFileHandle>;
}

interface PickerWindow {
  showDirectoryPicker?: (options: { id: string }) => Promise<FolderHandle>;
}

/** Whether the browser gives handles, which it can keep over a reload. */
export function canPickFolder(): boolean {
  return (window as PickerWindow).showDirectoryPicker !== undefined;
}

/** Asks the user for a folder; undefined where they chose none. To be called in a press. */
export async function pickFolder(): Promise<ChosenFolder | undefined> {
  try {
    return await readFolder(await (window as PickerWindow).showDirectoryPicker!({ id: 'videos' }));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    throw error;
  }
}

/**
 * The files of a folder whose handle was kept, once the user allows it. To be called in a press.
 * @throws Error with a sentence where they do not, or where the folder is gone.
 */
export async function reopenFolder(handle: FolderHandle): Promise<ChosenFolder> {
  const mode = { mode: 'read' } as const;
  const allowed =
    (await handle.queryPermission(mode)) === 'granted' ||
    (await handle.requestPermission(mode)) === 'granted';
  if (!allowed) throw new Error(`The folder ${handle.name} may not be read. Allow it, or choose a folder.`);
  return readFolder(handle);
}

/** The files of an `<input webkitdirectory>`; undefined where there are none. */
export function folderOfInput(videos: readonly File[]): ChosenFolder | undefined {
  if (videos.length === 0) return undefined;
  const paths = videos.map(({ webkitRelativePath, name }) => webkitRelativePath || name);
  return { videos: [...videos], paths, folder: folderName(videos) ?? 'videos' };
}

/** What of a folder the engine gets. */
export function sent({ handle: _, ...folder }: ChosenFolder): VideoFolder {
  return folder;
}

/** All files of a folder and below. @throws Error with a sentence where it, or something in it, cannot be read. */
export async function readFolder(handle: FolderHandle): Promise<ChosenFolder> {
  try {
    return await filesOf(handle);
  } catch (cause) {
    if (!(cause instanceof DOMException)) throw cause;
    const why =
      cause.name === 'NotFoundError'
        ? 'is no longer where it was, or changed while it was read'
        : cause.name === 'NotAllowedError'
          ? 'may not be read: the browser does not allow it'
          : `could not be read (${cause.name}): another program may hold it, or its disk was taken away`;
    throw new Error(`The folder ${handle.name} ${why}. Choose it again.`, { cause });
  }
}

async function filesOf(handle: FolderHandle): Promise<ChosenFolder> {
  const videos: File[] = [];
  const paths: string[] = [];
  const read = async (folder: FolderHandle, path: string) => {
    for await (const entry of folder.values()) {
      const at = `${path}/${entry.name}`;
      if (entry.kind === 'directory') await read(entry as FolderHandle, at);
      else {
        videos.push(await (entry as FileSystemFileHandle).getFile());
        paths.push(at);
      }
    }
  };
  await read(handle, handle.name);
  return { videos, paths, folder: handle.name, handle };
}
