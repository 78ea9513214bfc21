import { VideoError } from './errors';

/**
 * Reads the bytes [start, end) of a file the user chose.
 * @throws VideoError `unreadable` where the file was moved, changed or removed since.
 */
export async function readBytes(file: Blob, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch (cause) {
    throw new VideoError(
      'unreadable',
      `${(file as { name?: string }).name || 'The file'} can no longer be read: it was moved, changed or removed since you chose it.`,
      'Choose the video again.',
      { cause },
    );
  }
}
