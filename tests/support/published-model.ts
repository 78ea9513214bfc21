import { readFile } from 'node:fs/promises';
import { publishedConfig as configOf } from '../../src/cli/synthetic-hub/published-config';
import type { HubRepository } from '../../src/cli/synthetic-hub/repository';
import type { FileStore } from '../../src/weights/file-store';

/** The published model's config, from the toy's by its own numbers; with fewer layers where that is said. */
export async function publishedConfig(layers?: number): Promise<Record<string, unknown>> {
  const toy = JSON.parse(
    await readFile(new URL('../../public/models/toy/config.json', import.meta.url), 'utf8'),
  );
  return configOf(toy, layers);
}

/** A repository of the synthetic hub, read in place. */
export function repositoryStore(files: HubRepository, name = 'published'): FileStore {
  const open: FileStore['open'] = async (path) => {
    const file = files.get(path);
    return (
      file && { name: path, size: file.size, read: async (from, to) => Uint8Array.from(file.read(from, to)) }
    );
  };
  return {
    name,
    open,
    text: async (path) => {
      const file = files.get(path);
      return file && new TextDecoder().decode(file.read(0, file.size));
    },
  };
}
