import { expect, it } from 'vitest';
import { createDecodeScene, decodeSpec } from '../../src/bench/decode-scene';
import { AnswerLoop } from '../../src/generate/answer-loop';
import { Sampler } from '../../src/generate/sampler';
import { Recorder } from '../../src/gpu/recorder';
import { nodeCountingGpu } from '../support/counting';

const CALLS = ['setPipeline', 'setBindGroup', 'dispatchWorkgroups'] as const;
const LAYERS = 36;

/** What each step of a group's answers calls on the device, after the first, which records. */
async function callsOfSteps(batch: number): Promise<Record<string, number>[]> {
  const gpu = nodeCountingGpu();
  const { device } = gpu;
  let calls: Record<string, number> = {};
  const count = <T extends object>(on: T, name: keyof T & string) => {
    const call = on[name] as (...args: unknown[]) => unknown;
    on[name] = ((...args: unknown[]) => {
      calls[name] = (calls[name] ?? 0) + 1;
      return call.apply(on, args);
    }) as T[keyof T & string];
  };
  device.createComputePipelineAsync = async () =>
    ({ getBindGroupLayout: () => ({}) }) as unknown as GPUComputePipeline;
  device.createCommandEncoder = () => {
    const pass = {
      ...Object.fromEntries(CALLS.map((name) => [name, () => undefined])),
      end: () => undefined,
    };
    for (const name of CALLS) count(pass as Record<string, unknown>, name);
    return {
      beginComputePass: () => pass,
      copyBufferToBuffer: () => undefined,
      finish: () => undefined,
    } as unknown as GPUCommandEncoder;
  };
  const { text, ...spec } = decodeSpec('small', LAYERS);
  const narrow = { ...text, hidden_size: 32, intermediate_size: 32, head_dim: 8, vocab_size: 64 };
  const scene = await createDecodeScene(gpu, { ...spec, text: narrow });
  const sampler = await Sampler.create(gpu, { vocab_size: 64 });
  const model = { language: scene.language, tokenizer: { eos_token_id: -1 } };
  const loop = new AnswerLoop(gpu, model, sampler, new Recorder(gpu, 'test'));
  for (const name of ['createBindGroup', 'createBuffer'] as const) count(device, name);
  for (const name of ['writeBuffer', 'submit'] as const) count(device.queue, name);
  const settings = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, seed: 1 };
  const { tree } = scene;
  const answers = Array.from({ length: batch }, (_, sample) => ({
    branch: tree.branch(sample, [], tree.roots[0]!),
    settings,
    question: 0,
  }));
  const logits = await scene.language.logits(scene.last, new Array<number>(batch).fill(0));
  const steps: Record<string, number>[] = [];
  const { language } = scene;
  const step = language.step.bind(language);
  let waits = 0;
  language.step = (...args) => {
    const made = step(...args);
    waits = made instanceof Promise ? 1 : 0;
    return made;
  };
  calls = {};
  const written = loop.write({
    tree,
    answers,
    logits,
    position: 0,
    max_new_tokens: 6,
    steps: undefined,
    signal: undefined,
    onIssued: () => {
      steps.push({ ...calls, waits });
      calls = {};
    },
  });
  for await (const _ of written);
  loop.destroy();
  await scene.destroy();
  return steps.slice(1);
}

it.each([1, 8])(
  'a step of %i answers is issued from a recording, in one submit, without waiting',
  async (batch) => {
    const steps = await callsOfSteps(batch);
    expect(steps.length).toBe(4);
    for (const calls of steps) {
      const { submit, createBindGroup, createBuffer = 0, writeBuffer, dispatchWorkgroups, waits } = calls;
      // Rows, the work list and the sampler's numbers; that of the attention's batches where they change.
      expect({ submit, createBindGroup, createBuffer, waits }).toEqual({
        submit: 1,
        createBindGroup: 1,
        createBuffer: 0,
        waits: 0,
      });
      expect(writeBuffer).toBeLessThanOrEqual(4);
      // Ten of the blocks, rotary, attention (what is shared, what is not, and joining); embedding, head, norms, sampler.
      expect(dispatchWorkgroups).toBeLessThanOrEqual(LAYERS * 14 + 5);
      expect(calls.setBindGroup).toBe(dispatchWorkgroups);
      // q, k and v, and gate and up, follow each other through one pipeline.
      expect(calls.setPipeline).toBeLessThanOrEqual(dispatchWorkgroups! - 3 * LAYERS);
    }
  },
);
