/** A chosen file by its path: that within the chosen folder, or its name alone. */
export interface PathFile {
  name: string;
  webkitRelativePath?: string;
}

/**
 * Finds the files that a data set names. Folders above the ones that both know do not matter: `./NextQA/NExTVideo/1/2.mp4`
 * is found in a chosen folder `NExTVideo`, and by its name alone among loose files. The file that shares most of the
 * path is meant.
 * @returns a function from `video_filename` to the file; undefined where there is none, or where several share as much.
 */
export function videoFinder<F extends PathFile>(
  files: readonly F[],
): (video_filename: string) => F | undefined {
  const byName = new Map<string, { file: F; parts: string[] }[]>();
  for (const file of files) {
    const parts = pathParts(file.webkitRelativePath || file.name);
    const name = parts.at(-1) ?? '';
    byName.set(name, [...(byName.get(name) ?? []), { file, parts }]);
  }
  return (video_filename) => {
    const wanted = pathParts(video_filename);
    let best: { file: F; shared: number } | undefined;
    let tied = false;
    for (const { file, parts } of byName.get(wanted.at(-1) ?? '') ?? []) {
      let shared = 0;
      while (
        shared < parts.length &&
        shared < wanted.length &&
        parts.at(-1 - shared) === wanted.at(-1 - shared)
      )
        shared += 1;
      if (shared > (best?.shared ?? 0)) {
        best = { file, shared };
        tied = false;
      } else if (shared === best?.shared) tied = true;
    }
    return tied ? undefined : best?.file;
  };
}

function pathParts(path: string): string[] {
  return path
    .normalize('NFC')
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.');
}
