import { type Folder, readText } from './folder';

/**
 * Objects of a JSONL file, one a line. What a closing tab left of a last line is passed over, as is any line that is
 * no JSON.
 */
export async function readLines<T>(folder: Folder, path: string): Promise<T[]> {
  return parseLines<T>((await readText(folder, path)) ?? '');
}

/** The last objects of a JSONL file, at most those in its last `bytes`. */
export async function readLastLines<T>(folder: Folder, path: string, bytes = 32_768): Promise<T[]> {
  const file = await folder.open(path);
  if (!file) return [];
  const text = await file.slice(Math.max(0, file.size - bytes)).text();
  // The first line may be the end of one.
  return parseLines<T>(file.size > bytes ? text.slice(text.indexOf('\n') + 1) : text);
}

/** Adds objects, a line each. */
export async function appendLines(folder: Folder, path: string, objects: readonly unknown[]): Promise<void> {
  if (objects.length === 0) return;
  await folder.append(path, objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
}

/** Keeps the lines of steps up to `step`, and makes good a last line that was not written whole. */
export async function cutLines(folder: Folder, path: string, step: number): Promise<void> {
  const text = await readText(folder, path);
  if (text === undefined) return;
  const kept = parseLines<{ step: number }>(text).filter((line) => line.step <= step);
  const after = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (after !== text) await folder.write(path, after);
}

function parseLines<T>(text: string): T[] {
  return text.split('\n').flatMap((line) => {
    if (line === '') return [];
    try {
      return [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}
