import { downloadZip } from 'client-zip';

/** A file of an archive; `name` may have folders before it: `clips/a.mp4`. */
export interface ArchivedFile {
  name: string;
  blob: Blob;
}

/** A ZIP archive of files as they are: what a page can hand over with its folders, which a download has not. */
export async function zip(files: readonly ArchivedFile[]): Promise<Blob> {
  const entries = files.map(({ name, blob }) => ({ name, input: blob, size: blob.size }));
  return new Blob([await downloadZip(entries).blob()], { type: 'application/zip' });
}
