import type { KeptModel, ModelPlan, PlanPieces, PrecisionPreset } from '../../src/worker/model-protocol';
import { storedPlan } from '../../src/worker/model-protocol';
import type { ModelPrecision } from '../../src/worker/protocol';

/** A model of which a part is kept. */
export const KEPT: KeptModel = {
  id: 'kept-1',
  format: 1,
  name: 'big-model',
  source: 'https://models.test/some/big-model/resolve/main/',
  revision: 'r',
  precision: 'language q4, embedding q8, vision f16, connector f16',
  complete: false,
  created: 1,
  used: 2,
  bytes: 2.26e9,
  inUse: false,
};

/** A plan of a made-up model of 3.6 B parameters. */
export function planOf(download: number): ModelPlan {
  const name = 'model.embed_tokens.weight';
  // Bytes of a part by those of a weight, of which an eighth or so are scales where it is packed.
  const part = (parameters: number, largest: number) =>
    ([4, 2, 1.1, 0.58] as const).map((bytes, i) => ({
      precision: (['f32', 'f16', 'q8', 'q4'] as const)[i]!,
      bytes: bytes * parameters,
      largest: { name, bytes: bytes * largest },
      tokenBytes: bytes * parameters,
    }));
  const pieces: PlanPieces = {
    stored: {
      language: part(2.76e9, 2e7),
      embedding: part(0.1e9, 1e8),
      vision: part(0.39e9, 1e7),
      connector: part(0.01e9, 1e7),
    },
    other: { bytes: 0.02e9, largest: { name: 'norm.weight', bytes: 8192 } },
    caches: 0.26e9,
    tokenBytes: 0.05e9,
  };
  const all = (precision: ModelPrecision['language']) => ({
    language: precision,
    embedding: precision,
    vision: precision,
    connector: precision,
  });
  const offered = { language: 'q4', embedding: 'q8', vision: 'f16', connector: 'f16' } as const;
  const one = (preset: PrecisionPreset, precision: ModelPrecision) => ({
    preset,
    ...storedPlan(pieces, precision),
  });
  return {
    parameters: 3.6e9,
    download,
    files: 1.05 * download,
    weight_files: [
      { name: 'model-00001-of-00002.safetensors', bytes: 4.97e9, used: 4.97e9 },
      { name: 'model-00002-of-00002.safetensors', bytes: 2.39e9, used: 2.33e9 },
    ],
    plans: [
      one('4-bit', offered),
      one('8-bit', { ...offered, language: 'q8' }),
      one('f16', all('f16')),
      one('f32', all('f32')),
    ],
    pieces,
    offered,
    usual: offered,
  };
}
