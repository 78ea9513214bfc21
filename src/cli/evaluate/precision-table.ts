import { formatBytes } from '../../gpu/format-bytes';
import { defaultPrecision, type ModelPrecision } from '../../model/precision';
import type { PrecisionOutcome } from './compare-precision';

const all = (precision: ModelPrecision[keyof ModelPrecision]): ModelPrecision => ({
  language: precision,
  embedding: precision,
  vision: precision,
  connector: precision,
});

/** Precisions that can be compared, by name; 'mixed' is what a large model gets by default. */
export const NAMED_PRECISIONS: Readonly<Record<string, ModelPrecision>> = {
  f32: all('f32'),
  f16: all('f16'),
  q8: all('q8'),
  q4: all('q4'),
  mixed: defaultPrecision(Number.POSITIVE_INFINITY, true),
};

/** The outcomes as lines of a Markdown table. */
export function precisionTable(outcomes: readonly PrecisionOutcome[]): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const head = ['weights', 'on the GPU', 'greedy', 'sampled', 'mean KL', 'largest KL', 'same token', 'error'];
  const rows = outcomes.map((outcome) => [
    label(outcome.name, outcome.precision),
    formatBytes(outcome.weight_bytes),
    percent(outcome.accuracy_greedy),
    percent(outcome.accuracy_sampled),
    outcome.mean_kl.toExponential(1),
    outcome.max_kl.toExponential(1),
    percent(outcome.same_token),
    outcome.parts.map(({ mean_error }) => mean_error.toExponential(1)).join(', '),
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function label(name: string, { language, embedding, vision, connector }: ModelPrecision): string {
  const parts = [language, embedding, vision, connector];
  return parts.every((part) => part === language) ? name : `${name} (${parts.join(', ')})`;
}
