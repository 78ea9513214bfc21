import { describe, expect, it } from 'vitest';
import { pickedFolder } from '../../src/app/models/folder-files';
import { type FolderHandle, folderOfInput, readFolder, reopenFolder } from '../../src/app/train/video-folder';

/** A file as a folder picker gives it; `loose` lies in no folder. */
const file = (path: string) =>
  Object.assign(new File(['x'], path.split('/').at(-1)!), { webkitRelativePath: path });
const loose = (name: string) => Object.assign(file(name), { webkitRelativePath: '' });

/** A folder's handle; a DOMException in the place of its entries is what reading them gives. */
function handleOf(entries: FileSystemFileHandle[] | DOMException): FolderHandle {
  const values = async function* () {
    if (entries instanceof DOMException) throw entries;
    yield* entries;
  };
  return { name: 'clips', kind: 'directory', values, queryPermission: async () => 'granted' } as never;
}

describe('a folder of the user’s', () => {
  it('from a picker: a model is the files in it, videos are all below it', () => {
    const files = [file('m/config.json'), file('m/old/config.json'), file('m/model.safetensors')];
    expect(pickedFolder(files)).toEqual({ name: 'm', files: [files[0], files[2]] });
    expect(pickedFolder([])).toBeUndefined();
    expect(pickedFolder([loose('config.json')])).toBeUndefined();
    const videos = [file('clips/a.mp4'), file('clips/b/c.mp4')];
    const chosen = { videos, paths: ['clips/a.mp4', 'clips/b/c.mp4'], folder: 'clips' };
    expect(folderOfInput(videos)).toEqual(chosen);
    expect(folderOfInput([loose('a.mp4')])).toMatchObject({ paths: ['a.mp4'], folder: 'videos' });
    expect(folderOfInput([])).toBeUndefined();
  });

  it('by its handle, which says in a sentence why it cannot be read', async () => {
    const one = { name: 'a.mp4', kind: 'file', getFile: async () => file('a.mp4') } as never;
    expect(await readFolder(handleOf([one]))).toMatchObject({ paths: ['clips/a.mp4'], folder: 'clips' });
    const failing = (name: string) => handleOf(new DOMException('Raw words.', name));
    await expect(reopenFolder(failing('NotFoundError'))).rejects.toThrow(
      /^The folder clips is no longer where it was.* Choose it again\.$/,
    );
    await expect(readFolder(failing('NotAllowedError'))).rejects.toThrow(/^The folder clips may not be read/);
    await expect(readFolder(failing('NotReadableError'))).rejects.toThrow(/could not be read \(NotReadable/);
  });
});
