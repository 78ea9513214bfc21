import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ByteSource, checkRange } from '../weights/byte-source';
import { CheckpointError } from '../weights/errors';
import { type FileStore, readText } from '../weights/file-store';

/** A folder on disk; only the byte ranges that are read come into memory. */
export function directoryStore(folder: string): FileStore {
  const openFile = async (name: string): Promise<ByteSource | undefined> => {
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    return info?.isFile() ? fileSource(path, name, info.size) : undefined;
  };
  return {
    name: folder,
    open: openFile,
    async text(name) {
      const source = await openFile(name);
      return source && readText(source);
    },
    async list() {
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    },
  };
}

function fileSource(path: string, name: string, size: number): ByteSource {
  const source: ByteSource = {
    name,
    size,
    async read(start, end) {
      checkRange(source, start, end);
      const bytes = new Uint8Array(end - start);
      const handle = await open(path, 'r');
      try {
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at);
          if (bytesRead === 0) throw new CheckpointError(`${name} became shorter while it was read.`);
          at += bytesRead;
        }
      } finally {
        await handle.close();
      }
      return bytes;
    },
  };
  return source;
}
