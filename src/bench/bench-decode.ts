import type { Gpu } from '../gpu/device';
import { describeDevice, shapesFor } from './bench-attention';
import { measureCeilings } from './ceilings';
import { createDecodeScene, decodeSpec } from './decode-scene';
import { type DecodeCase, measureDecode } from './measure-decode';
import { type BenchDevice, judge, type Target } from './report';
import { Stopwatch } from './stopwatch';

/** Answers side by side: one, and a group under a shared prompt. */
const BATCHES = [1, 8];

/** Rounds of a case, and the time after which none is begun. */
const PATIENCE = { rounds: 5, seconds: 30 };

/** What `bench -- decode --json` says on its last line. */
export interface DecodeReport {
  device: BenchDevice;
  layers: number;
  hidden: number;
  cases: DecodeCase[];
}

/** A report, and what was asked for. */
export interface DecodeBench {
  report: DecodeReport;
  targets: Target[];
}

/** How the decoding benchmark is run. */
export interface DecodeBenchOptions {
  /** The published model's size in 4 bits, or its 36 layers narrow. Default: by the kind of adapter. */
  shapes?: 'model' | 'small';
  /** Default 36. */
  layers?: number;
  /** Told in sentences of what is measured, as it is. */
  onLine?: (line: string) => void;
}

/** Measures how fast answers are written, against the whole model in one graph of ONNX Runtime on the same device. */
export async function benchDecode(
  gpu: Gpu,
  { shapes, layers: count, onLine = () => undefined }: DecodeBenchOptions = {},
): Promise<DecodeBench> {
  const chosen = shapesFor(gpu, shapes);
  const stopwatch = new Stopwatch(gpu);
  const ceilings = await measureCeilings(gpu, stopwatch).finally(() => stopwatch.destroy());
  const cases: DecodeCase[] = [];
  const spec = decodeSpec(chosen, count);
  const { num_hidden_layers: layers, hidden_size: hidden } = spec.text;
  onLine(
    `${layers} layers of width ${hidden} in 4 bits, a prompt of ${spec.prefix} rows, ${spec.tokens} tokens an answer.`,
  );
  const scene = await createDecodeScene(gpu, spec);
  try {
    for (const batch of BATCHES) {
      const onRefused = (why: string) => onLine(`Not compared with the whole graph: ${why}`);
      const found = await measureDecode(gpu, ceilings, scene, { ...PATIENCE, batch, onRefused });
      cases.push(found);
      onLine(describeCase(found));
    }
  } finally {
    await scene.destroy();
  }
  const report = { device: describeDevice(gpu, ceilings, 'wall'), layers, hidden, cases };
  return { report, targets: decodeTargets(gpu, cases) };
}

function describeCase(found: DecodeCase): string {
  const { batch, tokens_per_s, issue_ms, issue_busy_ms, roofline_share } = found;
  const own =
    `${batch === 1 ? 'One answer' : `${batch} answers`}: ${tokens_per_s.toFixed(1)} tokens/s, ` +
    `${issue_ms.toFixed(2)} ms to issue a token (${issue_busy_ms.toFixed(2)} while the GPU works), ` +
    `${(100 * roofline_share).toFixed(0)} % of the roofline`;
  const { vs_whole_graph, runtime_issue_ms, runtime_values_ok, runtime_error } = found;
  if (vs_whole_graph === null) return `${own}.`;
  const values = runtime_values_ok ? 'the same logits' : 'OTHER LOGITS';
  return (
    `${own}; ${vs_whole_graph.toFixed(2)} times as fast as the whole graph, which takes ` +
    `${runtime_issue_ms!.toFixed(1)} ms to issue one (${values}, off by ${runtime_error!.toExponential(1)}).`
  );
}

function decodeTargets(gpu: Gpu, cases: readonly DecodeCase[]): Target[] {
  const found = (value: (one: DecodeCase) => number | null) =>
    cases.flatMap((one) => {
      const known = value(one);
      return known === null ? [] : [{ shape: `batch ${one.batch}`, value: known }];
    });
  const targets = [
    judge(
      "Time of the whole graph's step by ours",
      1,
      'below',
      found((one) => one.vs_whole_graph),
    ),
    judge(
      'Milliseconds to issue a token',
      2,
      'above',
      found((one) => one.issue_ms),
    ),
  ];
  if (gpu.adapter.isFallback) return targets;
  const rate = (batch: number) => cases.find((one) => one.batch === batch)!.tokens_per_s;
  targets.push(
    judge(
      'One answer: share of the roofline',
      0.5,
      'below',
      found((one) => (one.batch === 1 ? one.roofline_share : null)),
    ),
    judge('Tokens a second of 8 answers by those of one', 2.5, 'below', [
      { shape: 'both', value: rate(8) / rate(1) },
    ]),
  );
  return targets;
}
