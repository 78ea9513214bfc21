/**
 * The command that converts a file to H.264 in an MP4, with the file's name quoted for a POSIX shell. Names come from
 * outside: a leading dash must not become an option.
 */
export function ffmpegLine(fileName: string): string {
  const stem = fileName.replace(/\.[^.]*$/, '') || 'video';
  return `ffmpeg -i ${quote(`./${fileName}`)} -c:v libx264 -pix_fmt yuv420p -movflags +faststart ${quote(`./${stem}-h264.mp4`)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
