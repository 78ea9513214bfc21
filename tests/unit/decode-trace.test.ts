import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { createDecodeScene, decodeSpec } from '../../src/bench/decode-scene';
import { AnswerLoop } from '../../src/generate/answer-loop';
import { RECORD_WORDS, Sampler } from '../../src/generate/sampler';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import type { LanguageModel } from '../../src/model/language-model';
import { nodeCountingGpu } from '../support/counting';

const EOS = 7;
const ANSWERS = 5;

/** What the GPU is given, in its order: dispatches with the written contents of what they bind, and copies. */
function traced(gpu: Gpu, lines: string[]): void {
  const { device } = gpu;
  const numbers = new Map<unknown, number>();
  const numberOf = (of: unknown) => numbers.get(of) ?? numbers.set(of, numbers.size).get(of)!;
  const contents = new Map<GPUBuffer, Uint8Array>();
  const bytesOf = (buffer: GPUBuffer) =>
    contents.get(buffer) ?? contents.set(buffer, new Uint8Array(buffer.size)).get(buffer)!;
  device.queue.writeBuffer = (buffer, offset, data, from = 0, size) => {
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data as ArrayBuffer);
    const unit = 'BYTES_PER_ELEMENT' in view ? (view.BYTES_PER_ELEMENT as number) : 1;
    const bytes = new Uint8Array(
      view.buffer as ArrayBuffer,
      view.byteOffset + from * unit,
      size === undefined ? view.byteLength - from * unit : size * unit,
    );
    bytesOf(buffer).set(bytes, offset);
  };
  /** Of what was written; nothing is computed. */
  const hash = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex').slice(0, 10);
  device.createBindGroup = ({ entries }) => ({ entries: [...entries] }) as unknown as GPUBindGroup;
  device.createComputePipelineAsync = async ({ label }) =>
    ({ label, getBindGroupLayout: () => ({}) }) as unknown as GPUComputePipeline;
  device.createCommandEncoder = () => {
    const commands: (() => string)[] = [];
    let pipeline = '';
    let group: GPUBindGroupEntry[] = [];
    const pass = {
      setPipeline: (next: GPUComputePipeline) => (pipeline = next.label),
      setBindGroup: (_: number, next: { entries: GPUBindGroupEntry[] }) => (group = next.entries),
      dispatchWorkgroups: (...grid: number[]) => {
        const [name, entries] = [pipeline, group];
        commands.push(() => {
          const bound = entries.map(({ resource }) => {
            const { buffer, offset = 0, size = buffer.size - offset } = resource as GPUBufferBinding;
            // Uniform blocks by what is in them, wherever they are.
            const uniform = /uniforms/.test(buffer.label);
            const name = uniform ? 'uniforms' : `${buffer.label}#${numberOf(buffer)}`;
            const written = contents.get(buffer)?.subarray(offset, offset + size);
            return `${name} ${written ? hash(written) : ''}`;
          });
          return `${name} ${grid} ${bound.join('; ')}`;
        });
      },
      end: () => undefined,
    };
    return {
      beginComputePass: () => pass,
      copyBufferToBuffer: (from: GPUBuffer, a: number, to: GPUBuffer, b: number, bytes: number) =>
        commands.push(() => `copy ${from.label} ${a} ${to.label} ${b} ${bytes}`),
      finish: () => ({ commands }),
    } as unknown as GPUCommandEncoder;
  };
  device.queue.submit = (buffers) => {
    for (const { commands } of buffers as unknown as { commands: (() => string)[] }[])
      lines.push(...commands.map((command) => command()));
  };
}

type Step = LanguageModel['step'];

/** Writes answers with made-up tokens. @param way issues a step in the place of `LanguageModel.step`, or leaves it to that. */
async function answers(
  way: (language: LanguageModel, ...args: Parameters<Step>) => ReturnType<Step> | undefined,
) {
  const gpu = nodeCountingGpu();
  const lines: string[] = [];
  traced(gpu, lines);
  // The answers end one after the other.
  let reads = 0;
  const create = gpu.device.createBuffer.bind(gpu.device);
  gpu.device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (/^read back \d$/.test(descriptor.label ?? ''))
      buffer.getMappedRange = () => {
        const words = new Uint32Array(ANSWERS * RECORD_WORDS);
        reads += 1;
        words[1] = reads % 5 === 0 ? EOS : 1;
        return words.buffer;
      };
    return buffer;
  };
  const { text, ...spec } = decodeSpec('small', 3);
  const narrow = { ...text, hidden_size: 32, intermediate_size: 32, head_dim: 8, vocab_size: 64 };
  const scene = await createDecodeScene(gpu, { ...spec, text: narrow });
  const { language, tree, last } = scene;
  const step = language.step.bind(language);
  let promises = 0;
  language.step = (...args) => {
    const made = way(language, ...args) ?? step(...args);
    if (made instanceof Promise) promises += 1;
    return made;
  };
  const loop = new AnswerLoop(
    gpu,
    { language, tokenizer: { eos_token_id: EOS } },
    await Sampler.create(gpu, { vocab_size: 64 }),
    new Recorder(gpu, 'test'),
  );
  const settings = { temperature: 1, top_k: 0, top_p: 1, min_p: 0, seed: 1 };
  const open = Array.from({ length: ANSWERS }, (_, sample) => ({
    branch: tree.branch(sample, [], tree.roots[0]!),
    settings,
    question: 0,
  }));
  const logits = await language.logits(last, new Array<number>(ANSWERS).fill(0));
  const written = loop.write({
    tree,
    answers: open,
    logits,
    position: 0,
    max_new_tokens: 150,
    steps: undefined,
    signal: undefined,
  });
  let steps = 0;
  for await (const _ of written) steps += 1;
  return { lines, promises, steps };
}

it('steps issued at once, one by one, or apart from their logits are the same dispatches on the same contents', async () => {
  const repeated = await answers(() => undefined);
  const anew = await answers((language) => {
    (language as unknown as { recorded: { mayRepeat(): boolean } }).recorded.mayRepeat = () => false;
    return undefined;
  });
  const apart = await answers(async (language, input) => language.logits(await language.forward(input)));
  expect(repeated.lines.length).toBeGreaterThan(1000);
  expect(repeated.lines).toEqual(anew.lines);
  expect(repeated.lines).toEqual(apart.lines);
  // A recording for each number of rows; the swap of the token buffers when an answer ends needs none of its own.
  expect([repeated.promises, anew.promises]).toEqual([ANSWERS, repeated.steps]);
});
