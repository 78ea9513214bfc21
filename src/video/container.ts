import { VideoError } from './errors';
import { openMp4 } from './mp4';
import { sniffContainer } from './sniff';
import type { OpenOptions, VideoFile } from './video-file';

/**
 * Opens a video file of any kind that can be read: its tables are read, and the frames' bytes stay where they are.
 * Progressive MP4 and MOV files are opened by their tables alone; fragmented ones, WebM and Matroska are scanned. A
 * file that was cut off opens with `truncation` set and `frames` of the part that works.
 * @throws VideoError `empty`, `unreadable`, `not-a-video`, `unsupported-container`, `truncated` (nothing readable),
 * `corrupt`, `no-video-track` or `unsupported-codec`; the signal's reason when aborted.
 */
export async function openVideo(
  file: Blob & { name?: string },
  options: OpenOptions = {},
): Promise<VideoFile> {
  const name = file.name || 'The file';
  if ((await sniffContainer(file, name)) === 'mp4') return openMp4(file, name, options);
  const { openMatroska } = await import('./matroska').catch((cause: unknown) => {
    throw new VideoError(
      'unsupported-container',
      `${name} is a WebM or MKV file, and the part of this page that reads them could not be loaded.`,
      'Check the connection, reload the page and drop the file again.',
      { cause },
    );
  });
  return openMatroska(file, name, options);
}
