import type { Gpu } from '../gpu/device';
import type { LoraAdapter } from '../lora/adapter';
import { type PeftFiles, readPeft } from '../lora/peft-files';
import type { DecoderSteps } from '../model/decoder-steps';
import { memorySource } from '../weights/byte-source';
import type { Session } from './session';
import type { AdapterInfo } from './training-protocol';

/** An adapter in PEFT's files, before it is on a GPU. */
export type AdapterFiles = { [Name in keyof PeftFiles]: Uint8Array<ArrayBuffer> };

/** What an adapter is placed on. */
export type ShelfSession = Pick<Session, 'gpu' | 'model'>;

/** An adapter on a session's GPU, and the decoder with it. */
interface Placed {
  gpu: Gpu;
  weights: LoraAdapter;
  steps: DecoderSteps;
}

/**
 * The adapters that answers can use, beside the base. Their files stay in memory, so that they are there again after
 * the GPU was lost; each is uploaded and compiled once, so switching between them costs nothing.
 */
export class AdapterShelf {
  private readonly shelf = new Map<string, { info: AdapterInfo; files: AdapterFiles; placed?: Placed }>();
  private next = 1;

  /** What is there, in the order of loading. */
  get adapters(): AdapterInfo[] {
    return [...this.shelf.values()].map(({ info }) => info);
  }

  /**
   * Loads an adapter's files. One that came from the same run takes the place of the earlier one.
   * @throws Error naming the file and tensor where it is no LoRA of the session's model.
   */
  async load(
    session: ShelfSession,
    files: AdapterFiles,
    from: Pick<AdapterInfo, 'name' | 'run' | 'step'>,
  ): Promise<AdapterInfo> {
    const placed = await place(session, files);
    const { r, target_modules } = placed.weights.config;
    const before = this.adapters.find(({ run }) => run !== undefined && run === from.run);
    if (before) this.unload(before.adapter);
    const info: AdapterInfo = { adapter: `adapter-${this.next++}`, r, target_modules, ...from };
    this.shelf.set(info.adapter, { info, files, placed });
    return info;
  }

  /**
   * The decoder with an adapter; undefined for '', the base.
   * @throws Error where there is no such adapter.
   */
  async decoder(session: ShelfSession, adapter: string): Promise<DecoderSteps | undefined> {
    if (adapter === '') return undefined;
    const entry = this.shelf.get(adapter);
    if (!entry) throw new Error('That adapter is no longer loaded. Load it again.');
    if (entry.placed?.gpu !== session.gpu) entry.placed = await place(session, entry.files);
    return entry.placed.steps;
  }

  /** Takes an adapter off the GPU. */
  unload(adapter: string): void {
    this.shelf.get(adapter)?.placed?.weights.destroy();
    this.shelf.delete(adapter);
  }

  /** The model is another one: its adapters say nothing about this one. */
  clear(): void {
    for (const { adapter } of this.adapters) this.unload(adapter);
  }
}

async function place(session: ShelfSession, files: AdapterFiles): Promise<Placed> {
  const { gpu, model } = session;
  const config = parseConfig(files['adapter_config.json']);
  const source = memorySource('adapter_model.safetensors', files['adapter_model.safetensors']);
  const weights = await readPeft(gpu, config, source, model.config.text_config);
  try {
    await gpu.memory.check();
    return { gpu, weights, steps: await model.language.adapt(weights.decoder, weights) };
  } catch (cause) {
    weights.destroy();
    throw cause;
  }
}

function parseConfig(bytes: Uint8Array<ArrayBuffer>): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error('adapter_config.json is not JSON.', { cause });
  }
}

/**
 * PEFT's two files among those that the user chose.
 * @throws Error naming the one that is missing.
 */
export async function adapterFiles(files: readonly File[]): Promise<AdapterFiles> {
  const read = async (name: keyof PeftFiles) => {
    const file = files.find((one) => one.name === name);
    if (!file)
      throw new Error(
        `There is no ${name} among the files. An adapter is two files: adapter_config.json and adapter_model.safetensors.`,
      );
    return new Uint8Array(await file.arrayBuffer());
  };
  return {
    'adapter_config.json': await read('adapter_config.json'),
    'adapter_model.safetensors': await read('adapter_model.safetensors'),
  };
}
