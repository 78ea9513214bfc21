import { Generator } from '../../src/generate/generate';
import type { SampleRecord } from '../../src/generate/sampler';
import type { Gpu } from '../../src/gpu/device';
import { type GpuTensor, uploadTensor } from '../../src/gpu/tensor';
import { type LoadStage, TinyLlava } from '../../src/model/tiny-llava';
import { goldenStore, loadGolden } from './golden';
import { sharedGpu } from './shared-gpu';

type Request = Parameters<Generator['generate']>[0];

export const GREEDY = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
export const WARM = { temperature: 1.5, top_k: 50, top_p: 0.95, seed: 7 };

/** The golden checkpoint with a generator and the recorded visual tokens. */
export interface GoldenGeneration {
  gpu: Gpu;
  model: TinyLlava;
  generator: Generator;
  /** `[num_queries, H]` f32. */
  visual: GpuTensor;
  golden: Awaited<ReturnType<typeof loadGolden>>;
  /** The recorded prompt with a video. */
  prompt_ids: Int32Array;
  /** What loading told. */
  stages: readonly LoadStage[];
  /** WebGPU's validation errors since. */
  errors: readonly string[];
  /** Records of every answer of a request, by sample; drawn warm where nothing else is said. */
  group(options?: Partial<Request>): Promise<SampleRecord[][]>;
  close(): Promise<void>;
}

/** Loads it on the device that the files of tests/gpu share. */
export async function loadGeneration(): Promise<GoldenGeneration> {
  const errors: string[] = [];
  const stages: LoadStage[] = [];
  const gpu = await sharedGpu((message) => errors.push(message));
  const model = await TinyLlava.load(gpu, await goldenStore('checkpoint'), {
    validation: true,
    onProgress: (stage) => stages.push(stage),
  });
  const generator = await Generator.create(gpu, model);
  const golden = await loadGolden('lm.safetensors');
  const tokens = (await loadGolden('vision.safetensors')).get('connector.output')!;
  const values = tokens.data as Float32Array<ArrayBuffer>;
  const visual = uploadTensor(gpu, values, tokens.shape.slice(1), 'f32', 'visual');
  const prompt_ids = golden.get('prompt_ids')!.data as Int32Array;
  return {
    gpu,
    model,
    generator,
    visual,
    golden,
    prompt_ids,
    stages,
    errors,
    async group(options = {}) {
      const request = { prompt_ids, visual, settings: WARM, max_new_tokens: 24, ...options };
      const answers = Array.from({ length: options.num_generations ?? 1 }, (): SampleRecord[] => []);
      for await (const step of generator.generate(request))
        for (const { sample, record } of step) answers[sample]!.push(record);
      return answers;
    },
    async close() {
      generator.destroy();
      visual.buffer.destroy();
      await model.destroy();
      gpu.close();
    },
  };
}
