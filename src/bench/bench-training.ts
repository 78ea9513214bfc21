import type { Gpu } from '../gpu/device';
import { shapesFor } from './bench-attention';
import { measureJax } from './measure-jax';
import { measureMemory, measurePasses } from './measure-training';
import { type BenchDevice, judge, type Target } from './report';
import { createScene, describeTraining, MODEL_TRAINING, SMALL_TRAINING } from './training-scene';

/** What `bench -- train --json` says on its last line. A speed ratio above 1: ours is faster. */
export interface TrainingReport {
  device: Omit<BenchDevice, 'copy_gbps' | 'f32_gflops' | 'f16_gflops'>;
  /** Time of forward and backward pass with the prompt repeated for each answer by that with the prompt shared. */
  shared_over_repeated: number;
  /** The same of multiply-adds. */
  shared_over_repeated_counted: number;
  /** Time of the backward pass, layers computed again included, by that of the forward pass. */
  backward_over_forward: number;
  backward_over_forward_counted: number;
  /** The most that a GRPO step had at one time, and what was planned for it. */
  peak_bytes: number;
  planned_bytes: number;
  /** Time of a LoRA step of the toy model in jax-js by ours; null where jax-js could not be measured. */
  vs_jax_js: number | null;
}

/** A report, and what was asked for. */
export interface TrainingBench {
  report: TrainingReport;
  targets: Target[];
}

/** How the training benchmark is run. */
export interface TrainingBenchOptions {
  /** Layers of the published model's size, or the toy model. Default: by the kind of adapter. */
  shapes?: 'model' | 'small';
  /** A prompt and answers of the published model's lengths, also with the toy model. */
  long?: boolean;
  /** Told in sentences of what is measured, as it is. */
  onLine?: (line: string) => void;
}

/**
 * Measures what training costs.
 * @throws Error where a shared and a repeated prompt give other gradients.
 */
export async function benchTraining(
  gpu: Gpu,
  { shapes, long = false, onLine = () => undefined }: TrainingBenchOptions = {},
): Promise<TrainingBench> {
  const { prompt_rows, tokens, num_queries } = MODEL_TRAINING;
  const small = long ? { ...SMALL_TRAINING, prompt_rows, tokens, num_queries } : SMALL_TRAINING;
  const spec = shapesFor(gpu, shapes) === 'model' ? MODEL_TRAINING : small;
  const shape = describeTraining(spec);
  onLine(`Policy passes at ${shape}, LoRA on all linear layers, f32, layers computed again backwards.`);
  const scene = await createScene(gpu, spec);
  const { shared, repeated, ...passes } = await measurePasses(gpu, scene);
  const ms = (time: number) => `${time.toFixed(0)} ms`;
  onLine(
    `Shared: forward ${ms(shared.forward)}, backward ${ms(shared.backward)}. ` +
      `Repeated: forward ${ms(repeated.forward)}, backward ${ms(repeated.backward)}.`,
  );
  onLine(
    `Repeated by shared: ${passes.shared_over_repeated.toFixed(2)}, ` +
      `counted ${passes.shared_over_repeated_counted.toFixed(2)}. ` +
      `Backward by forward: ${passes.backward_over_forward.toFixed(2)}, ` +
      `counted ${passes.backward_over_forward_counted.toFixed(2)}.`,
  );
  const memory = await measureMemory(gpu, scene);
  onLine(`A GRPO step took ${memory.peak_bytes} bytes at most; planned were ${memory.planned_bytes}.`);
  scene.destroy();
  const vs_jax_js = await againstJax(gpu, onLine);
  const { adapter, f16, subgroups } = gpu;
  const found = (value: number) => [{ shape, value }];
  return {
    report: { device: { ...adapter, f16, subgroups, clock: 'wall' }, ...passes, ...memory, vs_jax_js },
    targets: [
      judge(
        'Shared over repeated by its counted ratio',
        0.85,
        'below',
        found(passes.shared_over_repeated / passes.shared_over_repeated_counted),
      ),
      judge(
        'Backward over forward by its counted ratio',
        1.25,
        'above',
        found(passes.backward_over_forward / passes.backward_over_forward_counted),
      ),
      judge(
        'Counted peak memory off its plan',
        0.1,
        'above',
        found(Math.abs(memory.peak_bytes / memory.planned_bytes - 1)),
      ),
    ],
  };
}

async function againstJax(gpu: Gpu, onLine: (line: string) => void): Promise<number | null> {
  const scene = await createScene(gpu, SMALL_TRAINING);
  try {
    const { vs_jax_js, ours, jax } = await measureJax(gpu, scene);
    onLine(
      `A LoRA step of the toy model, one answer: ours ${ours.toFixed(0)} ms, jax-js ${jax.toFixed(0)} ms, ` +
        `ratio ${vs_jax_js.toFixed(2)}; equal gradients.`,
    );
    return vs_jax_js;
  } catch (cause) {
    onLine(`Not compared with jax-js: ${cause instanceof Error ? cause.message : String(cause)}`);
    return null;
  } finally {
    scene.destroy();
  }
}
