import { LORA_TARGETS } from '../blocks/qwen2-graphs';
import type { Gpu } from '../gpu/device';
import { layerPrefix } from '../model/decoder-steps';
import type { ByteSource } from '../weights/byte-source';
import { writeSafetensors } from '../weights/safetensors-write';
import { readSafetensors } from '../weights/tensor-data';
import { type AdaptedShape, LoraAdapter, loraShapes } from './adapter';
import type { LoraConfig } from './lora-config';
import { decoderModule, PEFT_PREFIX, parsePeftConfig, peftConfig } from './peft-config';

/** The two files of an adapter, as PEFT's `save_pretrained` names and writes them. */
export interface PeftFiles {
  'adapter_config.json': string;
  'adapter_model.safetensors': Uint8Array<ArrayBuffer>;
}

/** Writes an adapter's files. `base_model` is the hub id or path of the model that it belongs to. */
export async function writePeft(adapter: LoraAdapter, base_model: string): Promise<PeftFiles> {
  const tensors = new Map(
    [...(await adapter.read())].map(([name, values]) => [
      PEFT_PREFIX + name,
      { shape: adapter.shapes.get(name)!, values },
    ]),
  );
  return {
    'adapter_config.json': `${JSON.stringify(peftConfig(adapter.config, base_model), null, 2)}\n`,
    'adapter_model.safetensors': writeSafetensors(tensors, { format: 'pt' }),
  };
}

/**
 * Loads an adapter's files. Which layers and modules it adapts is read off the tensors, so any way to write
 * `target_modules` is understood.
 * @throws Error naming the file and tensor where it is no LoRA of this decoder.
 */
export async function readPeft(
  gpu: Gpu,
  config: unknown,
  weights: ByteSource,
  shape: AdaptedShape,
): Promise<LoraAdapter> {
  const scaling = parsePeftConfig(config);
  const tensors = await readSafetensors(weights);
  const layers = new Set<number>();
  const targets = new Set<LoraConfig['target_modules'][number]>();
  const names = new Map<string, string>();
  for (const key of tensors.keys()) {
    const path = key.startsWith(PEFT_PREFIX) ? key.slice(PEFT_PREFIX.length) : key;
    const [, module, side] = /^(.*)\.(lora_[AB])\.weight$/.exec(path) ?? [];
    const found = module ? decoderModule(module) : undefined;
    if (!found || !side)
      throw new Error(`${weights.name} has ${key}, which is no LoRA weight of this model's decoder.`);
    layers.add(found.layer);
    targets.add(found.target);
    names.set(`${layerPrefix(found.layer)}${found.target}.${side}.weight`, key);
  }
  const all = layers.size === shape.num_hidden_layers;
  const lora: LoraConfig = {
    ...scaling,
    target_modules: LORA_TARGETS.filter((target) => targets.has(target)),
    ...(all ? {} : { layers_to_transform: [...layers].sort((a, b) => a - b) }),
  };
  for (const [name, dims] of loraShapes(lora, shape)) {
    const entry = tensors.get(names.get(name) ?? '');
    if (!entry) throw new Error(`${weights.name} lacks ${PEFT_PREFIX}${name}.`);
    if (entry.shape.join() !== dims.join())
      throw new Error(
        `${weights.name}: ${name} is [${entry.shape.join(', ')}]; this model and r = ${lora.r} need [${dims.join(', ')}].`,
      );
  }
  const adapter = LoraAdapter.create(gpu, lora, shape);
  try {
    for (const name of adapter.tensors.keys()) {
      const { data: values } = tensors.get(names.get(name)!)!;
      if (!(values instanceof Float32Array)) throw new Error(`${weights.name}: ${name} holds no floats.`);
      if (values.some((value) => !Number.isFinite(value)))
        throw new Error(`${weights.name}: ${name} has values that are no numbers (NaN or infinity).`);
      adapter.set(name, values);
    }
  } catch (cause) {
    adapter.destroy();
    throw cause;
  }
  return adapter;
}
