import type { Gpu } from '../gpu/device';
import type { AdaptedShape, LoraAdapter } from '../lora/adapter';
import { type PeftFiles, readPeft, writePeft } from '../lora/peft-files';
import { type ByteSource, memorySource } from '../weights/byte-source';
import { type F32Tensor, writeSafetensors } from '../weights/safetensors-write';
import { readSafetensors } from '../weights/tensor-data';
import type { AdamW, OptimiserState } from './adamw';

const FORMAT = 1;

/**
 * A training run at the end of a step, as files: the adapter as PEFT writes it, AdamW's moments (`m.NAME` and
 * `v.NAME`, NAME as in the model's checkpoint), and the step with the configuration. Random numbers and the place in the
 * data follow from seed and step, so there is no other state.
 */
export interface CheckpointFiles extends PeftFiles {
  'optimizer.safetensors': Uint8Array<ArrayBuffer>;
  'trainer_state.json': string;
}

/** Names of the files of a checkpoint. */
export const CHECKPOINT_FILES = [
  'adapter_config.json',
  'adapter_model.safetensors',
  'optimizer.safetensors',
  'trainer_state.json',
] as const satisfies readonly (keyof CheckpointFiles)[];

/** What `trainer_state.json` says. */
export interface SavedTrainer<Config> {
  /** Steps done. */
  step: number;
  /** Tokens so far, see `GrpoTrainer`. */
  num_tokens: number;
  config: Config;
}

/** What a checkpoint is read into: the adapter is new, and its owner destroys it. */
export interface RestoredTrainer<Config> extends SavedTrainer<Config> {
  adapter: LoraAdapter;
  optimiser: OptimiserState;
}

/**
 * Reads adapter and moments back and writes the files of a checkpoint.
 * @param base_model hub id or path of the model that the adapter belongs to.
 * @param state with a configuration that is plain JSON, infinite numbers aside.
 */
export async function writeTrainingCheckpoint<Config>(
  adapter: LoraAdapter,
  optimiser: AdamW,
  state: SavedTrainer<Config>,
  base_model: string,
): Promise<CheckpointFiles> {
  const { step: optimizer_step, m, v } = await optimiser.read();
  const tensors = new Map<string, F32Tensor>();
  for (const [prefix, moments] of Object.entries({ m, v }))
    for (const [name, values] of moments)
      tensors.set(`${prefix}.${name}`, { shape: adapter.get(name).shape, values });
  const saved = { format: FORMAT, ...state, optimizer_step };
  return {
    ...(await writePeft(adapter, base_model)),
    'optimizer.safetensors': writeSafetensors(tensors),
    'trainer_state.json': `${JSON.stringify(saved, keepInfinity, 2)}\n`,
  };
}

/** Reads `trainer_state.json` alone. @throws Error where it is none of this format. */
export function readTrainerState<Config>(text: string): SavedTrainer<Config> & { optimizer_step: number } {
  const problem = (what: string) => new Error(`trainer_state.json ${what}: this is no checkpoint of a run.`);
  let saved: {
    format?: unknown;
    step?: unknown;
    num_tokens?: unknown;
    optimizer_step?: unknown;
    config?: Config;
  };
  try {
    saved = JSON.parse(text, giveInfinity);
  } catch {
    throw problem('is not JSON');
  }
  const { format, step, num_tokens, optimizer_step, config } = saved ?? {};
  if (format !== FORMAT) throw problem(`has the format ${format}, and ${FORMAT} is read`);
  const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
  if (!isCount(step) || !isCount(num_tokens) || !isCount(optimizer_step) || !config)
    throw problem('lacks step, num_tokens, optimizer_step or config');
  return { step, num_tokens, optimizer_step, config };
}

/**
 * Reads a checkpoint's files; `read` gives the bytes of one by its name.
 * @throws Error naming the file that is missing, damaged or of another model.
 */
export async function readTrainingCheckpoint<Config>(
  gpu: Gpu,
  read: (name: keyof CheckpointFiles) => Promise<Uint8Array<ArrayBuffer>>,
  shape: AdaptedShape,
): Promise<RestoredTrainer<Config>> {
  const text = async (name: keyof CheckpointFiles) => new TextDecoder().decode(await read(name));
  const source = async (name: keyof CheckpointFiles): Promise<ByteSource> =>
    memorySource(name, await read(name));
  const { optimizer_step, ...state } = readTrainerState<Config>(await text('trainer_state.json'));
  const peft: unknown = JSON.parse(await text('adapter_config.json'));
  const saved = await readSafetensors(await source('optimizer.safetensors'));
  const adapter = await readPeft(gpu, peft, await source('adapter_model.safetensors'), shape);
  try {
    const moments = (prefix: string) =>
      new Map(
        [...adapter.tensors.keys()].map((name) => {
          const values = saved.get(`${prefix}.${name}`)?.data;
          if (!(values instanceof Float32Array))
            throw new Error(`optimizer.safetensors lacks ${prefix}.${name}.`);
          return [name, values] as const;
        }),
      );
    return {
      ...state,
      adapter,
      optimiser: { step: optimizer_step, m: moments('m'), v: moments('v') },
    };
  } catch (cause) {
    adapter.destroy();
    throw cause;
  }
}

// JSON has no infinity (TRL's `kl_clamp`).
function keepInfinity(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value;
}

function giveInfinity(_key: string, value: unknown): unknown {
  return value === 'Infinity' ? Number.POSITIVE_INFINITY : value;
}
