/**
 * What a file that should be something else looks like from its first bytes, as the end of a sentence ("it is ...");
 * undefined where it is nothing known.
 */
export function sniffFile(head: Uint8Array): string | undefined {
  const text = new TextDecoder('latin1').decode(head.subarray(0, 256));
  if (/^\s*(<!doctype|<html|<head|<\?xml)/i.test(text))
    return 'a web page (HTML): the download saved a page in its place, get the file itself';
  if (text.startsWith('version https://git-lfs'))
    return 'a Git LFS pointer, not the file that it stands for: run "git lfs pull" in the folder';
  if (text.startsWith('PK\x03\x04'))
    return 'a zip archive or a PyTorch file: only safetensors files can be loaded';
  if (text.startsWith('GGUF')) return 'a GGUF file: only safetensors files can be loaded';
  if (head.length > 0 && /^[\t\n\r\x20-\x7e]*$/.test(text)) return 'a text file';
  return undefined;
}
