import type { Checkpoint } from './checkpoint';

/** Bytes from the middle of each tensor of a file on this device. */
const SAMPLE = 1024;

/**
 * A name for a checkpoint's content: SHA-256 over its config, the places of its tensors, the sizes and tags of its
 * files, and bytes from the middle of each tensor of files on this device: two fine-tunes of a model are alike in all
 * else, their times too where both come from one archive. Hubs tag files by their content.
 */
export async function checkpointRevision({ config, tensors }: Checkpoint): Promise<string> {
  const files = new Map<string, unknown>();
  const places: unknown[] = [];
  for (const [name, { dtype, shape, source, start, end }] of tensors) {
    files.set(source.name, [source.size, source.tag ?? null]);
    places.push([name, dtype, shape, source.name, start, end]);
  }
  const local = [...tensors.values()].filter(({ source }) => source.local);
  const samples = await Promise.all(
    local.map(({ source, start, end }) => {
      const from = Math.max(start, Math.floor((start + end - SAMPLE) / 2));
      return source.read(from, Math.min(end, from + SAMPLE));
    }),
  );
  const text = JSON.stringify([config, places, [...files]]);
  const content = await new Blob([text, ...samples]).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
