import { afterAll, beforeAll, expect, it } from 'vitest';
import { BackendChoices } from '../../src/blocks/backend-choices';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { type Gpu, type KernelKind, openGpu } from '../../src/gpu/device';
import { createTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { attentionCheck, rotaryCheck } from '../../src/self-test/attention-checks';
import { linearCheck, pointwiseCheck } from '../../src/self-test/dense-checks';
import { linearGradientCheck, pointwiseGradientCheck } from '../../src/self-test/gradient-checks';
import { halfBlockCheck } from '../../src/self-test/half-block-check';
import { samplerCheck } from '../../src/self-test/sampler-check';
import { type Check, selfTest } from '../../src/self-test/self-test';
import { adamwCheck, attentionGradientCheck, lossCheck } from '../../src/self-test/training-checks';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu.close());

const TOY = { q_heads: 4, kv_heads: 2, head_dim: 32 };

it('finds this adapter right, in less than a blink beyond compiling', async () => {
  const answers = [
    linearCheck('f32'),
    pointwiseCheck,
    attentionCheck(TOY, true),
    rotaryCheck(TOY, 10_000),
    samplerCheck,
  ];
  const training = [
    attentionGradientCheck(TOY),
    linearGradientCheck('f32'),
    linearGradientCheck('q4'),
    pointwiseGradientCheck,
    lossCheck,
    adamwCheck,
  ];
  for (const checks of [answers, training]) {
    const report = await selfTest(gpu, checks);
    expect(report.checks.map(({ name, ok }) => [name, ok])).toEqual(checks.map(({ name }) => [name, true]));
    expect(report.off).toEqual([]);
    // Now everything is compiled; the least of three, as other tests run at the same time.
    const times: number[] = [];
    for (let i = 0; i < 3; i++) times.push((await selfTest(gpu, checks)).ms);
    expect(Math.min(...times)).toBeLessThan(300);
  }
});

it('finds right what is stored in f16, and where it is not nothing else is switched off', async (context) => {
  if (!gpu.f16) context.skip('This adapter has no shader-f16.');
  const types = { rows: 'f16', cache: 'f16' } as const;
  const halves = [attentionCheck(TOY, true, types), rotaryCheck(TOY, 10_000, types), halfBlockCheck('q4')];
  const report = await selfTest(gpu, [linearCheck('q4'), ...halves]);
  expect(report.checks.map(({ name, ok }) => [name, ok])).toEqual([
    ['linear layers q4', true],
    ...halves.map(({ name }) => [name, true]),
  ]);
  // Rounding is what they are off by.
  for (const { max_error } of report.checks.slice(1)) expect(max_error).toBeGreaterThan(1e-5);
  const { device } = gpu;
  const create = device.createShaderModule.bind(device);
  device.createShaderModule = (given) =>
    create({
      ...given,
      code: given.code.replace(/Y1\(sum\)/, given.code.includes('enable f16') ? 'Y1(1.1 * sum)' : '$&'),
    });
  try {
    const broken = { ...gpu, off: new Set<KernelKind>(), pipelines: new Map() };
    const wrong = await selfTest(broken, [linearCheck('q4'), halfBlockCheck('q4')]);
    expect(wrong.off.map(({ kind }) => kind)).toEqual(['halves']);
    expect(wrong.checks.map(({ name }) => name)).toEqual(['linear layers q4']);
  } finally {
    device.createShaderModule = create;
  }
});

it('finds a kernel that is wrong, and runs the next one', async () => {
  // Without subgroups the kernels have other code: those with them are broken as they are compiled.
  if (!gpu.subgroups) return;
  const { device } = gpu;
  const create = device.createShaderModule.bind(device);
  const broken: Gpu = { ...gpu, off: new Set(), pipelines: new Map() };
  device.createShaderModule = (descriptor) =>
    create(
      descriptor.code.includes('enable subgroups')
        ? { ...descriptor, code: descriptor.code.replaceAll('quadSwapX(', '(1.5 * ') }
        : descriptor,
    );
  try {
    const report = await selfTest(broken, [linearCheck('f32')]);
    expect(report.off).toMatchObject([
      { kind: 'subgroups', check: { name: 'linear layers f32', ok: false } },
    ]);
    expect(report.checks).toMatchObject([{ variant: 'registers', ok: true }]);
  } finally {
    device.createShaderModule = create;
  }
});

it('finds a wrong kernel of training, where there is another and where there is none', async () => {
  const { device } = gpu;
  const create = device.createShaderModule.bind(device);
  /** Runs checks with kernels of which a line is another. */
  const broken = async (checks: Check[], from: string | RegExp, to: string) => {
    device.createShaderModule = (given) => create({ ...given, code: given.code.replace(from, to) });
    try {
      return await selfTest({ ...gpu, off: new Set(), pipelines: new Map() }, checks);
    } finally {
      device.createShaderModule = create;
    }
  };
  await expect(broken([adamwCheck], 'w[i] * p.decay', 'w[i]')).rejects.toThrow(/AdamW give wrong values/);
  await expect(broken([samplerCheck], '0xD2511F53u', '0xD2511F51u')).rejects.toThrow(/sampler give wrong/);
  await expect(broken([lossCheck], 'exp((logits[i]', '1.01 * exp((logits[i]')).rejects.toThrow(
    /gradient of logits give wrong/,
  );
  if (!gpu.subgroups) return;
  // Only the kernels with subgroup operations have this.
  const report = await broken([linearGradientCheck('f32')], /quadSwapX\(/g, '(1.5 * ');
  expect(report.off.map(({ kind }) => kind)).toEqual(['subgroups']);
  expect(report.checks).toMatchObject([{ variant: 'registers', ok: true }]);
});

it('measures both backends once where it may choose, and gives the same values', async () => {
  const choices = new BackendChoices();
  // As on a GPU: on a CPU adapter nothing is measured.
  const runtimes = await BlockRuntimes.create(
    { ...gpu, adapter: { ...gpu.adapter, isFallback: false } },
    { choices },
  );
  const g = new GraphBuilder('choice');
  g.output('y', g.gemm(g.input('x', ['rows', 8]), g.input('weight', [4, 8])));
  const graph = await runtimes.compile(g.build());
  const values = Float32Array.from({ length: 16 }, (_, i) => i / 4 - 2);
  const x = uploadTensor(gpu, values, [2, 8], 'f32', 'x');
  const weight = uploadTensor(
    gpu,
    Float32Array.from({ length: 32 }, (_, i) => (i % 5) - 2),
    [4, 8],
    'f32',
    'w',
  );
  const y = createTensor(gpu, [2, 4], 'f32', 'y');
  await graph.run({ x, weight }, { y });
  expect(choices.list()).toHaveLength(1);
  expect(choices.find('choice 4 x 8', 3)).toMatchObject({
    rows: 4,
    why: expect.stringContaining('Measured here'),
  });
  const expected = [0, 1].flatMap((row) =>
    [0, 1, 2, 3].map((n) => {
      let sum = 0;
      for (let k = 0; k < 8; k++) sum += values[row * 8 + k]! * (((n * 8 + k) % 5) - 2);
      return sum;
    }),
  );
  for (const [i, value] of (await readF32(gpu, y)).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
  await graph.run({ x, weight }, { y });
  expect(choices.list()).toHaveLength(1);
  await runtimes.destroy();
  for (const { buffer } of [x, weight, y]) buffer.destroy();
});
