import { readFile } from 'node:fs/promises';
import type { HubRepository } from '../../src/cli/synthetic-hub/repository';
import type { FileStore } from '../../src/weights/file-store';

/** The published model's config, from the toy's by its own numbers. */
export async function publishedConfig(): Promise<Record<string, unknown>> {
  const toy = JSON.parse(
    await readFile(new URL('../../public/models/toy/config.json', import.meta.url), 'utf8'),
  );
  return {
    ...toy,
    ...{ hidden_size: 2048, group: 16, num_queries: 512, num_resampler_layers: 3, vision_hidden_size: 1152 },
    vocab_size: 151936,
    text_config: {
      ...toy.text_config,
      ...{ hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36, max_window_layers: 36 },
      ...{ num_attention_heads: 16, num_key_value_heads: 2, vocab_size: 151936 },
    },
    vision_config: {
      ...toy.vision_config,
      ...{ hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16 },
      ...{ image_size: 384, patch_size: 14 },
    },
  };
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
