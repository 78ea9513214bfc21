import { folderName } from '../shared/folder-input';

/** A model's folder from the user's disk: the files that lie in it, not those of its folders. */
export interface ModelFolder {
  name: string;
  files: File[];
}

/** The folder of a directory picker's files. Undefined where there are none. */
export function pickedFolder(files: readonly File[]): ModelFolder | undefined {
  const name = folderName(files);
  return name === undefined
    ? undefined
    : { name, files: files.filter((file) => file.webkitRelativePath.split('/').length === 2) };
}

/** What was dropped: a folder's files, or the files themselves. Must be called while the event is handled. */
export async function droppedFiles(transfer: DataTransfer): Promise<{ folder?: ModelFolder; files: File[] }> {
  const files = [...transfer.files];
  const entry = transfer.items[0]?.webkitGetAsEntry?.();
  if (!entry?.isDirectory) return { files };
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  // A reader gives a folder in parts, and an empty part at its end.
  for (let part = await read(reader); part.length > 0; part = await read(reader)) {
    for (const child of part) {
      if (child.isFile) found.push(await fileOf(child as FileSystemFileEntry));
    }
  }
  return { folder: { name: entry.name, files: found }, files: [] };
}

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
