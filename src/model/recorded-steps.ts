import type { Attention } from '../attention/attention';
import type { AttentionPlan } from '../attention/plan';
import type { RotaryAppend } from '../attention/rotary';
import type { EmbedTokens } from '../attention/rows';
import { ScratchPool } from '../blocks/wgsl/scratch-pool';
import type { Gpu } from '../gpu/device';
import type { Recorder } from '../gpu/recorder';
import type { Recording } from '../gpu/recording';
import type { GpuTensor } from '../gpu/tensor';
import type { DecoderSteps, Step } from './decoder-steps';
import type { KvLayer } from './kv-cache';
import type { Activations } from './language-model-workspace';

/** A forward pass of token rows. */
export interface TokenStep {
  rows: number;
  tokens: GpuTensor;
  steps: DecoderSteps;
  plan: AttentionPlan;
  layers: readonly KvLayer[];
  /** Of `rows` rows. */
  work: Activations;
}

/** What is wanted of a step beyond its pass. */
export interface StepOutput {
  /** Takes the step, for its owner to submit. */
  recorder: Recorder;
  head: Step;
  /** `[rows, V]`, written. */
  logits: GpuTensor;
}

interface Kept {
  /** What the recording was made for: it serves steps with equal ones. */
  key: readonly unknown[];
  recording: Recording;
  scratch: ScratchPool;
}

/**
 * Issues decode steps: one that differs from the last one only in its rows' positions and in what they see is issued
 * from a recording, in one submit, at a small part of the CPU time.
 */
export class RecordedSteps {
  private kept: Kept | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly recorder: Recorder,
    private readonly kernels: { embed: EmbedTokens; rotary: RotaryAppend; attention: Attention },
    private readonly embedding: GpuTensor,
  ) {}

  /**
   * Issues a step, whose result is in `work.final_norm`, or with `more` adds it and its logits to a recorder; false where
   * it has to be issued graph by graph.
   * @throws Error when rows do not fit; GpuMemoryError.
   */
  async issue(step: TokenStep, more?: StepOutput): Promise<boolean> {
    this.check(step);
    const key = this.keyOf(step, more);
    if (!this.kept || !equal(this.kept.key, key)) {
      const fresh = this.record(step, key, more);
      if (!fresh) return false;
      this.destroy();
      this.kept = fresh;
      try {
        if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
      } catch (cause) {
        // What finds no room is not issued later.
        this.destroy();
        throw cause;
      }
    }
    this.replay(this.kept, step, more);
    return true;
  }

  /** Whether the last step had so many rows: whether it is worth trying to `repeat` it. */
  mayRepeat(rows: number): boolean {
    return this.kept?.key[0] === rows;
  }

  /**
   * `issue` of a step that the kept recording serves, at once; false where it does not.
   * @throws Error when rows do not fit.
   */
  repeat(step: TokenStep, more: StepOutput): boolean {
    this.check(step);
    if (!this.kept || !equal(this.kept.key, this.keyOf(step, more))) return false;
    this.replay(this.kept, step, more);
    return true;
  }

  /** Forgets the recording. */
  destroy(): void {
    this.kept?.recording.destroy();
    this.kept?.scratch.destroy();
    this.kept = undefined;
  }

  private check({ plan, work, layers }: TokenStep): void {
    const { k, v } = layers[0]!;
    this.kernels.rotary.check(plan, { ...work, k_cache: k, v_cache: v });
    this.kernels.attention.check(plan, { q: work.q, k, v, o: work.attention });
  }

  private keyOf({ rows, tokens, steps, plan, layers, work }: TokenStep, more?: StepOutput): unknown[] {
    const layout = this.kernels.attention.layoutOf(plan, layers[0]!.k);
    // Buffers that `grow` or a longer prompt replace have other tensors.
    return [rows, tokens.buffer, steps, plan, layers, work, more?.logits.buffer, ...layout];
  }

  private replay({ recording }: Kept, { plan, layers }: TokenStep, more?: StepOutput): void {
    this.kernels.attention.update(recording, plan, layers[0]!.k);
    (more?.recorder ?? this.recorder).replay(recording);
    if (!more) this.recorder.submit();
  }

  private record(step: TokenStep, key: readonly unknown[], more: StepOutput | undefined): Kept | undefined {
    const { embed, rotary, attention } = this.kernels;
    const { rows, tokens, plan, work } = step;
    const { first, layers } = step.steps;
    const all = [first, ...layers, ...(more ? [more.head] : [])];
    const captures = new Map(all.map(({ graph }) => [graph, graph.capture?.(rows)]));
    if ([...captures.values()].includes(undefined)) return undefined;
    const scratch = new ScratchPool(this.gpu);
    let recording: Recording | undefined;
    try {
      recording = this.recorder.capture(() => {
        const { q, k, v, attention: o, final_norm } = work;
        let [hidden, spare] = work.hidden;
        embed.record(this.recorder, { tokens, table: this.embedding, out: hidden, count: rows });
        captures.get(first.graph)!(this.recorder, scratch, { ...first.weights, hidden }, { q, k, v });
        for (const [i, { graph, weights }] of layers.entries()) {
          const { k: k_cache, v: v_cache } = step.layers[i]!;
          rotary.record(this.recorder, plan, { q, k, v, k_cache, v_cache });
          attention.record(this.recorder, plan, { q, k: k_cache, v: v_cache, o });
          const outputs =
            i === layers.length - 1 ? { hidden: spare, final_norm } : { hidden: spare, q, k, v };
          const inputs = { ...weights, attention: o, residual: hidden };
          captures.get(graph)!(this.recorder, scratch, inputs, outputs);
          [hidden, spare] = [spare, hidden];
        }
        if (more) {
          const { head, logits } = more;
          captures.get(head.graph)!(this.recorder, scratch, { ...head.weights, final_norm }, { logits });
        }
      });
      return { key, recording, scratch };
    } finally {
      if (!recording) scratch.destroy();
    }
  }
}

function equal(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
