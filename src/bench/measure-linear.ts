import type { BlockGraph } from '../blocks/block-graph';
import { GraphBuilder } from '../blocks/graph-builder';
import { OrtRuntime } from '../blocks/ort/ort-runtime';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../gpu/device';
import {
  blocksOf,
  byteLength,
  createTensor,
  type GpuTensor,
  isQuantised,
  readF32,
  uploadTensor,
} from '../gpu/tensor';
import type { Ceilings } from './ceilings';
import type { LinearSpec } from './linear-specs';
import { makeWeight, type WeightValues } from './linear-weights';
import { randomValues } from './random-values';
import { type LinearCase, rates, type Work } from './report';
import type { Job, Stopwatch, Timing } from './stopwatch';

/** Against sums in float64 of the same weights; relative to the largest value. */
const TOLERANCE = 1e-4;

/** Rows up to which a layer is read from memory rather than computed: its weights must not lie in the GPU's cache. */
const FEW_ROWS = 16;
const WEIGHT_BYTES = 2 ** 28;

/** A case, and what its targets need beside it. */
export interface LinearResult {
  result: LinearCase;
  clock: Timing['clock'];
  /** Of `input-gradient`: its time by the forward pass's over the same rows. */
  vs_forward: number | null;
}

/** Measures one linear layer in both backends, forward or backward. @throws Error where ours gives wrong values. */
export async function measureLinear(
  gpu: Gpu,
  stopwatch: Stopwatch,
  ceilings: Ceilings,
  spec: LinearSpec,
): Promise<LinearResult> {
  const { rows, k, n, weights, pass } = spec;
  const [width, out] = pass === 'forward' ? [k, n] : [n, k];
  const values = makeWeight(weights, n, k);
  const x = randomValues(5, rows * width);
  const input = uploadTensor(gpu, x, [rows, width], 'f32', 'bench x');
  const output = createTensor(gpu, [rows, out], 'f32', 'bench y');
  const scaleBytes = isQuantised(weights) ? byteLength([n, blocksOf(k)], 'f32') : 0;
  const bytes = byteLength([n, k], weights) + scaleBytes;
  const few = rows <= FEW_ROWS && !gpu.adapter.isFallback;
  const copies = few ? Math.max(1, Math.min(36, Math.floor(WEIGHT_BYTES / bytes))) : 1;
  const layers = Array.from({ length: copies }, () => values.upload(gpu));
  const own = WgslRuntime.create(gpu);
  try {
    await gpu.memory.check();
    const run = (graph: BlockGraph) => inTurn(graph, input, layers, output);
    const error = async () => errorOf(spec, x, values, await readF32(gpu, output));
    const ours = await own.compile(linearGraph(spec));
    const job = run(ours);
    const { ms, clock } = await stopwatch.time(job);
    const wrong = await error();
    if (!(wrong <= TOLERANCE))
      throw new Error(`${describeLinear(spec)}: wrong values, off by ${wrong.toExponential(1)}.`);
    let runtime: { ratio: number; ok: boolean } | undefined;
    if (runtimeHas(gpu, spec)) {
      const theirs = await OrtRuntime.create(gpu).compile(linearGraph(spec));
      const ratio = await stopwatch.ratio(job, run(theirs), { otherGather: false });
      runtime = { ratio, ok: (await error()) <= TOLERANCE };
      await theirs.destroy();
    }
    const vs_forward =
      pass === 'forward' ? null : await byForward(gpu, own, stopwatch, spec, job, layers[0]!);
    const work: Work = { operations: 2 * rows * k * n, bytes: bytes + 4 * rows * (k + n) };
    return {
      clock,
      vs_forward,
      result: {
        kernel: 'linear',
        shape: `${rows} x ${k} x ${n}`,
        dtype: 'f32',
        ms,
        ...rates(work, ms, ceilings),
        vs_runtime: runtime?.ratio ?? null,
        vs_copied_prefix: null,
        vs_unfused: null,
        runtime_values_ok: runtime?.ok ?? null,
        rows,
        k,
        n,
        weights,
        pass,
      },
    };
  } finally {
    own.destroy();
    for (const tensor of [input, output]) tensor.buffer.destroy();
    for (const layer of layers) values.free(layer);
  }
}

/** Time of a gradient by that of x W^T over the same rows. */
async function byForward(
  gpu: Gpu,
  own: WgslRuntime,
  stopwatch: Stopwatch,
  spec: LinearSpec,
  gradient: Job,
  weight: GpuTensor,
): Promise<number> {
  const { rows, k, n } = spec;
  const graph = await own.compile(linearGraph({ ...spec, pass: 'forward' }));
  const x = createTensor(gpu, [rows, k], 'f32', 'bench forward x');
  const y = createTensor(gpu, [rows, n], 'f32', 'bench forward y');
  try {
    await gpu.memory.check();
    return await stopwatch.ratio(() => graph.run({ x, weight }, { y }), gradient);
  } finally {
    x.buffer.destroy();
    y.buffer.destroy();
  }
}

/** Whether the runtime has the product: of packed weights only x W^T, of halves only with `shader-f16`. */
function runtimeHas(gpu: Gpu, { weights, pass }: LinearSpec): boolean {
  if (weights === 'f32') return true;
  return pass === 'forward' && (weights !== 'f16' || gpu.f16);
}

/** A spec in words. */
export function describeLinear({ rows, k, n, weights, pass }: LinearSpec): string {
  return `linear ${rows} x ${k} x ${n} ${weights} ${pass}`;
}

/** One product: x W^T, or dy W. */
function linearGraph({ k, n, weights, pass }: LinearSpec) {
  const g = new GraphBuilder(`bench linear ${pass} ${weights}`);
  const x = g.input('x', ['rows', pass === 'forward' ? k : n]);
  const weight = g.input('weight', [n, k], weights);
  g.output('y', pass === 'forward' ? g.gemm(x, weight) : g.matmul(x, weight, {}));
  return g.build();
}

/** One run after another, each with the next copy of the weights. */
function inTurn(
  graph: BlockGraph,
  x: GpuTensor,
  layers: readonly GpuTensor[],
  y: GpuTensor,
): () => Promise<void> {
  let turn = 0;
  return () => graph.run({ x, weight: layers[turn++ % layers.length]! }, { y });
}

/** The largest error of some outputs against sums in float64, relative to the largest of them. */
function errorOf(spec: LinearSpec, x: Float32Array, weight: WeightValues, y: Float32Array): number {
  const { rows, k, n, pass } = spec;
  const [width, out] = pass === 'forward' ? [k, n] : [n, k];
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < 64; i++) {
    const row = Math.floor((i * rows) / 64);
    const column = (i * 7919) % out;
    let sum = 0;
    for (let j = 0; j < width; j++)
      sum += x[row * width + j]! * (pass === 'forward' ? weight.at(column, j) : weight.at(j, column));
    const difference = Math.abs(sum - y[row * out + column]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(sum));
  }
  return worst / largest;
}
