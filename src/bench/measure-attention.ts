import { Attention } from '../attention/attention';
import { AttentionBackward } from '../attention/backward';
import type { AttentionTypes } from '../attention/variants';
import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { openRuntimeAttention } from './attention-runtime';
import {
  attentionWork,
  forwardError,
  openScene,
  type Scene,
  type SceneValues,
  sceneValues,
} from './attention-scene';
import { type AttentionSpec, describeAttention } from './attention-specs';
import type { Ceilings } from './ceilings';
import { type BenchCase, leastMs, rates, type Work } from './report';
import type { Job, Stopwatch, Timing } from './stopwatch';
import { UnfusedAttention } from './unfused-attention';

/** Relative to the largest value: the runtime's wrong values were off by 5e-3 and more, f32's rounding is below 1e-5. */
const TOLERANCE = 1e-4;

/** A case, and what its targets need beside it. */
export interface AttentionResult {
  result: BenchCase;
  clock: Timing['clock'];
  /** Of `backward`: its time by the forward pass's over the same rows. */
  vs_forward: number | null;
  /** Bytes of keys and values that the forward pass reads, counted, by the least that it could be. */
  kv_read: number;
  /** `vs_copied_prefix` by the same ratio of the roofline's own times. */
  copied_by_roofline: number | null;
}

/** Attention of one kind over a spec's values, ready to be timed. */
interface Candidate {
  run: Job;
  /** False: it submits for itself. */
  gather: boolean;
  /** Its output, `[rows, Hq, D]`. */
  read(): Promise<Float32Array>;
  destroy(): void | Promise<void>;
}

/** Our own kernels; where they are measured backward, `forward` is the pass before it. */
interface OwnCandidate extends Candidate {
  work: Work;
  /** Bytes of keys and values that it reads, counted, by the ideal. */
  kv_read: number;
  forward?: Job;
}

/**
 * Measures one attention and what it is compared with, all on one device.
 * @throws Error where our own kernel gives wrong values, GpuMemoryError where its own tensors find no room.
 */
export async function measureAttention(
  gpu: Gpu,
  stopwatch: Stopwatch,
  ceilings: Ceilings,
  spec: AttentionSpec,
): Promise<AttentionResult> {
  const values = sceneValues(spec);
  const own = await openOwn(gpu, spec, values, true);
  try {
    const { ms, clock } = await stopwatch.time(own.run);
    checkValues(spec, values, await own.read(), 'The attention kernel');
    const ratio = async ({ run, gather }: Candidate) =>
      stopwatch.ratio(own.run, run, { otherGather: gather });
    const copied =
      spec.children > 0
        ? await using(
            () => openOwn(gpu, spec, values, false),
            async (other) => ({
              found: await ratio(other),
              least: leastMs(other.work, ceilings) / leastMs(own.work, ceilings),
            }),
          )
        : null;
    const unfused = await using(
      () => openUnfused(gpu, spec, values),
      async (candidate) => {
        const found = await ratio(candidate);
        checkValues(spec, values, await candidate.read(), 'Plain attention');
        return found;
      },
    );
    const runtime = await using(
      () => openRuntimeAttention(gpu, spec, values),
      async (candidate) => {
        const found = await ratio({ ...candidate, gather: false });
        return { found, ok: forwardError(spec, values, await candidate.read()) <= TOLERANCE };
      },
    );
    return {
      result: {
        kernel: spec.kernel,
        shape: describeAttention(spec),
        dtype: spec.dtype,
        ms,
        ...rates(own.work, ms, ceilings),
        vs_runtime: runtime?.found ?? null,
        vs_copied_prefix: copied?.found ?? null,
        vs_unfused: unfused,
        runtime_values_ok: runtime?.ok ?? null,
      },
      clock,
      kv_read: own.kv_read,
      copied_by_roofline: copied && copied.found / copied.least,
      vs_forward: own.forward ? await stopwatch.ratio(own.forward, own.run) : null,
    };
  } finally {
    await own.destroy();
  }
}

/** What does not exist or does not fit is not compared: null. */
async function using<C extends { destroy(): void | Promise<void> }, T>(
  open: () => Promise<C | undefined>,
  use: (candidate: C) => Promise<T>,
): Promise<T | null> {
  try {
    const candidate = await open();
    if (!candidate) return null;
    try {
      return await use(candidate);
    } finally {
      await candidate.destroy();
    }
  } catch (cause) {
    if (cause instanceof GpuMemoryError) return null;
    throw cause;
  }
}

async function openOwn(
  gpu: Gpu,
  spec: AttentionSpec,
  values: SceneValues,
  shared: boolean,
): Promise<OwnCandidate> {
  const types: AttentionTypes = { rows: 'f32', cache: spec.dtype };
  const attention = await Attention.create(gpu, spec.shape, undefined, { types });
  const scene = await openScene(gpu, spec, values, shared);
  const { plan, keys, q, o, caches, stats } = scene;
  const recorder = new Recorder(gpu, 'bench');
  let turn = 0;
  const forward = () => {
    const { k, v } = caches[turn++ % caches.length]!;
    attention.record(recorder, plan, { q, k, v, o, ...(keys ? { stats } : {}) });
    recorder.submit();
  };
  const { read, ideal } = attention.kvBytes(plan);
  const own = {
    gather: true,
    read: () => readF32(gpu, o),
    work: attentionWork(spec, plan, values, shared),
    kv_read: read / ideal,
  };
  const close = () => {
    attention.destroy();
    scene.destroy();
  };
  if (!keys) return { ...own, run: forward, destroy: close };
  const backward = await AttentionBackward.create(gpu, spec.shape, undefined, { types });
  const { k, v } = caches[0]!;
  const like = (tensor: GpuTensor, label: string) => createTensor(gpu, tensor.shape, tensor.dtype, label);
  const gradients = {
    d_o: uploadTensor(gpu, values.d_o, q.shape, 'f32', 'bench d_o'),
    dq: like(q, 'bench dq'),
    dk: like(k, 'bench dk'),
    dv: like(v, 'bench dv'),
  };
  const destroy = () => {
    for (const { buffer } of Object.values(gradients)) buffer.destroy();
    close();
  };
  try {
    await gpu.memory.check();
  } catch (cause) {
    destroy();
    throw cause;
  }
  forward();
  const run = () => {
    backward.record(recorder, plan, keys, { q, k, v, o, stats, ...gradients });
    recorder.submit();
  };
  return { ...own, run, forward, destroy };
}

async function openUnfused(
  gpu: Gpu,
  spec: AttentionSpec,
  values: SceneValues,
): Promise<Candidate | undefined> {
  if (spec.kernel === 'backward' || spec.dtype !== 'f32') return undefined;
  const unfused = await UnfusedAttention.create(gpu, spec.shape, {
    count: Math.max(1, spec.children),
    rows: spec.kernel === 'decode' ? 1 : spec.children > 0 ? spec.suffix : spec.prefix,
    keys: spec.prefix + spec.suffix,
    causal: spec.causal,
  });
  let scene: Scene;
  try {
    scene = await openScene(gpu, spec, values, spec.children === 0);
  } catch (cause) {
    unfused.destroy();
    throw cause;
  }
  const { q, o, caches } = scene;
  const recorder = new Recorder(gpu, 'unfused');
  let turn = 0;
  return {
    gather: true,
    run() {
      const { k, v } = caches[turn++ % caches.length]!;
      unfused.record(recorder, q, k, v, o);
      recorder.submit();
    },
    read: () => readF32(gpu, o),
    destroy() {
      unfused.destroy();
      scene.destroy();
    },
  };
}

function checkValues(spec: AttentionSpec, values: SceneValues, o: Float32Array, what: string): void {
  const error = forwardError(spec, values, o);
  if (!(error <= TOLERANCE))
    throw new Error(
      `${what} gave wrong values at ${describeAttention(spec)}: off by ${error.toExponential(1)}.`,
    );
}
