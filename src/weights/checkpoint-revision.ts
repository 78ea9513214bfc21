import type { Checkpoint } from './checkpoint';

/**
 * A name for a checkpoint's content: SHA-256 over its config, the places of its tensors, and the sizes and tags of its
 * files. Weights that change without any of these changing are not noticed: hubs tag files by their content.
 */
export async function checkpointRevision({ config, tensors }: Checkpoint): Promise<string> {
  const files = new Map<string, unknown>();
  const places: unknown[] = [];
  for (const [name, { dtype, shape, source, start, end }] of tensors) {
    files.set(source.name, [source.size, source.tag ?? null]);
    places.push([name, dtype, shape, source.name, start, end]);
  }
  const text = JSON.stringify([config, places, [...files]]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
