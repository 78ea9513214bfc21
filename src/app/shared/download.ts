/**
 * A name as the beginning of a file's name, on every file system: letters and digits of any script in lower case, at most
 * 40 of them, all else as `-`.
 */
export function fileStem(name: string, otherwise: string): string {
  const words = name
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '-');
  return [...words].slice(0, 40).join('').replace(/^-|-$/g, '') || otherwise;
}

/** Hands a file to the user. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  // The download has its own hold on the bytes once it has begun.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
