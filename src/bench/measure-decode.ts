import { AnswerLoop } from '../generate/answer-loop';
import { RECORD_WORDS, Sampler } from '../generate/sampler';
import type { Gpu } from '../gpu/device';
import { ReadBackRing } from '../gpu/read-back';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import type { Ceilings } from './ceilings';
import { type DecodeScene, stepWork } from './decode-scene';
import { type GraphDecoder, openGraphDecoder } from './graph-decoder';
import { leastMs } from './report';
import { median } from './stopwatch';

/** Against the runtime, of the largest logit. */
const TOLERANCE = 1e-3;

/** Of ours, while the GPU is idle. */
const IDLE_ROUNDS = 8;

const GREEDY = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, seed: 1 };

/** How fast answers are written. A ratio above 1: ours is faster. */
export interface DecodeCase {
  batch: number;
  /** Of all answers together. */
  tokens_per_s: number;
  /** The JavaScript thread's time to issue a token (of each answer) while the GPU is idle, median. */
  issue_ms: number;
  /** The same while the GPU works. */
  issue_busy_ms: number;
  /** The least time that the ceilings allow a step, by its time. */
  roofline_share: number;
  /** Time of the whole graph's step by ours; null where the runtime refused it. */
  vs_whole_graph: number | null;
  runtime_issue_ms: number | null;
  /** Whether the whole graph gave the same logits; null where it was refused. */
  runtime_values_ok: boolean | null;
  /** The largest difference of its logits from ours, by the largest logit. */
  runtime_error: number | null;
}

/** Milliseconds of one round. */
interface Round {
  /** Of a step. */
  step: number;
  issues: number[];
}

/** Writes a round of tokens. @param idle waits for the GPU before each step is issued. */
type Writer = (idle: boolean) => Promise<Round>;

/**
 * Measures decoding of `batch` answers under the scene's prompt: token choice on the GPU and its reading one step behind
 * included, in turns with the whole graph in ONNX Runtime, which chooses tokens by the same kernel.
 * At most `rounds` of each are taken, and after `seconds` no more. Where the runtime refuses the graph, `onRefused` is told
 * why, and ours is measured alone.
 */
export async function measureDecode(
  gpu: Gpu,
  ceilings: Ceilings,
  scene: DecodeScene,
  options: { batch: number; rounds: number; seconds: number; onRefused?: (why: string) => void },
): Promise<DecodeCase> {
  const { batch, rounds, seconds, onRefused } = options;
  const { tokens } = scene.spec;
  const sampler = await Sampler.create(gpu, { vocab_size: scene.spec.text.vocab_size });
  const recorder = new Recorder(gpu, 'bench decode');
  const model = { language: scene.language, tokenizer: { eos_token_id: -1 } };
  const loop = new AnswerLoop(gpu, model, sampler, recorder);
  let graph: GraphDecoder | undefined;
  try {
    graph = await openGraphDecoder(gpu, scene, batch).catch((cause: unknown) => {
      onRefused?.(cause instanceof Error ? cause.message : String(cause));
      return undefined;
    });
    const ours = ownWriter(gpu, scene, loop, batch);
    const theirs = graph && graphWriter(gpu, scene, graph, { sampler, recorder, batch });
    const error = graph ? await compare(gpu, scene, graph, batch) : null;
    // The first round records; the graph's pipelines are compiled, for it has been compared.
    await ours(false);
    const own: Round[] = [];
    const other: Round[] = [];
    const begin = performance.now();
    for (let i = 0; i < rounds && (i === 0 || performance.now() - begin < 1000 * seconds); i++) {
      own.push(await ours(false));
      if (theirs) other.push(await theirs(false));
    }
    const idle: number[] = [];
    for (let i = 0; i < IDLE_ROUNDS; i++) idle.push(...(await ours(true)).issues);
    const otherIdle = await theirs?.(true);
    const step = median(own.map((round) => round.step));
    const least = leastMs(stepWork(scene, batch, Math.ceil(tokens / 2)), ceilings);
    return {
      batch,
      tokens_per_s: (1000 * batch) / step,
      issue_ms: median(idle),
      issue_busy_ms: median(own.flatMap(({ issues }) => issues)),
      roofline_share: least / step,
      vs_whole_graph: theirs ? median(other.map((round, i) => round.step / own[i]!.step)) : null,
      runtime_issue_ms: otherIdle ? median(otherIdle.issues) : null,
      runtime_values_ok: error === null ? null : error <= TOLERANCE,
      runtime_error: error,
    };
  } finally {
    loop.destroy();
    await graph?.destroy();
  }
}

/** The loop that answers are written with on the page. */
function ownWriter(gpu: Gpu, scene: DecodeScene, loop: AnswerLoop, batch: number): Writer {
  const { language, tree, last, spec } = scene;
  return async (idle) => {
    const issues: number[] = [];
    const answers = Array.from({ length: batch }, (_, sample) => ({
      branch: tree.branch(sample, [], tree.roots[0]!),
      settings: GREEDY,
      question: 0,
    }));
    const logits = await language.logits(last, new Array<number>(batch).fill(0));
    await gpu.device.queue.onSubmittedWorkDone();
    const begin = performance.now();
    const written = loop.write({
      tree,
      answers,
      logits,
      position: 0,
      max_new_tokens: spec.tokens,
      steps: undefined,
      signal: undefined,
      onIssued: (ms) => issues.push(ms),
    });
    for await (const _ of written) if (idle) await gpu.device.queue.onSubmittedWorkDone();
    // One token comes from the prompt: it takes no step.
    return { step: (performance.now() - begin) / (spec.tokens - 1), issues };
  };
}

/** The same with the whole graph in the place of our model. */
function graphWriter(
  gpu: Gpu,
  scene: DecodeScene,
  graph: GraphDecoder,
  use: { sampler: Sampler; recorder: Recorder; batch: number },
): Writer {
  const { sampler, recorder, batch } = use;
  const { language, last, spec } = scene;
  return async (idle) => {
    const issues: number[] = [];
    const tokens = createTensor(gpu, [batch], 'i32', 'runtime tokens');
    const records = createTensor(gpu, [batch, RECORD_WORDS], 'u32', 'runtime records');
    const ring = new ReadBackRing(gpu, batch * RECORD_WORDS * 4);
    const draw = (logits: GpuTensor, position: number): Promise<ArrayBuffer> => {
      const rows = Array.from({ length: batch }, (_, sample) => ({
        question: 0,
        sample,
        position,
        active: true,
      }));
      sampler.record(recorder, { logits, tokens, records, settings: GREEDY, rows });
      return ring.read(recorder, records.buffer);
    };
    try {
      graph.restart();
      const logits = await language.logits(last, new Array<number>(batch).fill(0));
      await gpu.device.queue.onSubmittedWorkDone();
      const begin = performance.now();
      let pending = draw(logits, 0);
      for (let step = 1; step < spec.graph_tokens; step++) {
        const before = performance.now();
        await graph.step(tokens);
        const next = draw(graph.logits, step);
        issues.push(performance.now() - before);
        await pending;
        pending = next;
        if (idle) await gpu.device.queue.onSubmittedWorkDone();
      }
      await pending;
      return { step: (performance.now() - begin) / (spec.graph_tokens - 1), issues };
    } finally {
      ring.destroy();
      for (const { buffer } of [tokens, records]) buffer.destroy();
    }
  };
}

/** The largest difference of the graph's logits from ours after two steps of the same tokens, by the largest logit. */
async function compare(gpu: Gpu, scene: DecodeScene, graph: GraphDecoder, batch: number): Promise<number> {
  const { language, tree, spec } = scene;
  const steps = 2;
  const ids = (step: number) =>
    Int32Array.from({ length: batch }, (_, b) => (31 * (b + 1) + 7 * step) % spec.text.vocab_size);
  const leaves = Array.from({ length: batch }, () => tree.extend(tree.roots[0]!, steps));
  graph.restart();
  let ours = new Float32Array();
  for (let step = 0; step < steps; step++) {
    const tokens = uploadTensor(gpu, ids(step), [batch], 'i32', 'bench tokens');
    const append = leaves.map((segment) => ({ segment, count: 1 }));
    ours = await readF32(
      gpu,
      await language.logits(await language.forward({ cache: tree.cache, append, tokens })),
    );
    await graph.step(tokens);
    await gpu.device.queue.onSubmittedWorkDone();
    tokens.buffer.destroy();
  }
  const theirs = await readF32(gpu, graph.logits);
  let [largest, worst] = [0, 0];
  for (const [i, value] of ours.entries()) {
    largest = Math.max(largest, Math.abs(value));
    const difference = Math.abs(value - theirs[i]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
  }
  return worst / largest;
}
