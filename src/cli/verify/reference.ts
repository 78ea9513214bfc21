import { readJson } from '../../weights/checkpoint';
import { CheckpointError } from '../../weights/errors';
import type { FileStore } from '../../weights/file-store';
import { readSafetensors, type TensorData } from '../../weights/tensor-data';
import type { GrpoReference } from './grpo-reference';

/** Tensors of one reference file, with the errors that a verification wants. */
export class ReferenceTensors {
  constructor(
    readonly file: string,
    private readonly tensors: ReadonlyMap<string, TensorData>,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  names(): string[] {
    return [...this.tensors.keys()];
  }

  shape(name: string): readonly number[] {
    return this.get(name).shape;
  }

  f32(name: string): Float32Array<ArrayBuffer> {
    const { data, dtype } = this.get(name);
    if (data instanceof Float32Array) return data;
    throw new CheckpointError(`${this.file}: ${name} is of type ${dtype}, and should be a float.`);
  }

  i32(name: string): Int32Array<ArrayBuffer> {
    const { data, dtype } = this.get(name);
    if (data instanceof Int32Array) return data;
    throw new CheckpointError(`${this.file}: ${name} is of type ${dtype}, and should be I32.`);
  }

  u8(name: string): Uint8Array<ArrayBuffer> {
    const { data, dtype } = this.get(name);
    if (data instanceof Uint8Array) return data;
    throw new CheckpointError(`${this.file}: ${name} is of type ${dtype}, and should be U8.`);
  }

  private get(name: string): TensorData {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new CheckpointError(`${this.file}: there is no ${name}.`);
    return tensor;
  }
}

/** What a reference directory holds; a file that is not there is undefined. */
export interface Reference {
  store: FileStore;
  vision?: ReferenceTensors;
  lm?: ReferenceTensors;
  attention?: ReferenceTensors;
  attentionCases?: AttentionCases;
  grpo?: ReferenceTensors;
  grpoMeta?: GrpoReference;
  text?: ReferenceText;
  frameIndices?: FrameIndexCases;
}

/** attention.json. Lengths in rows. */
export interface AttentionCases {
  cases: {
    name: string;
    q_heads: number;
    kv_heads: number;
    head_dim: number;
    q_len: number;
    kv_len: number;
    causal: boolean;
    scale: number;
  }[];
  shared_prefix: {
    name: string;
    q_heads: number;
    kv_heads: number;
    head_dim: number;
    prefix_len: number;
    suffix_lens: number[];
    scale: number;
  }[];
}

/** text.json. */
export interface ReferenceText {
  encode?: { text: string; ids: number[]; decoded?: string; decoded_skip_special?: string }[];
  templates?: {
    name: string;
    mode?: 'eval' | 'train';
    question: string;
    answer: string | null;
    prompt?: string;
    input_ids: number[];
    labels?: number[];
  }[];
}

/** frame_indices.json. */
export interface FrameIndexCases {
  linspace?: { num_frames: number; requested: number; indices: number[] }[];
  one_fps?: { num_frames: number; duration: number; max_frame?: number | null; indices: number[] }[];
}

/**
 * Reads what there is of a reference directory.
 * @throws CheckpointError where there is nothing of it, or a file is damaged.
 */
export async function readReference(store: FileStore): Promise<Reference> {
  const tensors = async (file: string) => {
    const source = await store.open(file);
    return source && new ReferenceTensors(file, await readSafetensors(source));
  };
  const found = {
    vision: await tensors('vision.safetensors'),
    lm: await tensors('lm.safetensors'),
    attention: await tensors('attention.safetensors'),
    attentionCases: (await readJson(store, 'attention.json')) as AttentionCases | undefined,
    grpo: await tensors('grpo.safetensors'),
    grpoMeta: (await readJson(store, 'grpo.json')) as GrpoReference | undefined,
    text: (await readJson(store, 'text.json')) as ReferenceText | undefined,
    frameIndices: (await readJson(store, 'frame_indices.json')) as FrameIndexCases | undefined,
  };
  const reference: Reference = { store };
  for (const [key, value] of Object.entries(found)) {
    if (value !== undefined) Object.assign(reference, { [key]: value });
  }
  if (Object.keys(reference).length === 1) {
    throw new CheckpointError(
      `There is no reference in ${store.name}: none of vision.safetensors, lm.safetensors, attention.safetensors, grpo.safetensors, text.json.`,
    );
  }
  return reference;
}
