import { describe, expect, it } from 'vitest';
import { BackendChoices, rowClass } from '../../src/blocks/backend-choices';
import type { Gpu, KernelKind } from '../../src/gpu/device';
import { parseConfig } from '../../src/model/config';
import { modelChecks } from '../../src/self-test/model-checks';
import type { SelfTestReport } from '../../src/self-test/report';
import { type Check, relativeError, selfTest } from '../../src/self-test/self-test';
import { adapterKey, hashTexts } from '../../src/worker/adapter-memory';
import { KernelTests } from '../../src/worker/kernel-tests';
import { publishedConfig } from '../support/published-model';

function fakeGpu({ isFallback = false, subgroups = true } = {}): Gpu {
  return { off: new Set<KernelKind>(), subgroups, adapter: { isFallback } } as unknown as Gpu;
}

/** A check that is wrong as long as one of these kinds is in use. */
function check(name: string, ways: readonly KernelKind[], wrongWith: readonly KernelKind[]): Check {
  return {
    name,
    ways,
    tolerance: 1e-5,
    prepare: async (gpu) => async () => (wrongWith.every((kind) => gpu.off.has(kind)) ? 1e-7 : 0.2),
  };
}

describe('selfTest', () => {
  it('keeps what is right', async () => {
    const gpu = fakeGpu();
    const report = await selfTest(gpu, [check('a', ['subgroups', 'tiles'], []), check('b', [], [])]);
    expect(report.checks.map(({ name, variant, ok }) => [name, variant, ok])).toEqual([
      ['a', 'tiles, subgroups', true],
      ['b', 'registers', true],
    ]);
    expect(gpu.off.size).toBe(0);
  });

  it('switches off what is wrong until the next kernels are right, and says what failed', async () => {
    const gpu = fakeGpu();
    const report = await selfTest(gpu, [
      check('linear', ['subgroups', 'tiles', 'dense'], ['subgroups', 'tiles']),
      check('attention', ['tiles'], []),
    ]);
    expect([...gpu.off]).toEqual(['subgroups', 'tiles']);
    expect(report.off.map(({ kind, check: { name, max_error } }) => [kind, name, max_error])).toEqual([
      ['subgroups', 'linear', 0.2],
      ['tiles', 'linear', 0.2],
    ]);
    expect(report.checks.map(({ variant, ok }) => [variant, ok])).toEqual([
      ['registers', true],
      ['registers', true],
    ]);
  });

  it('leaves the dense kernels to the runtime where no variant is right', async () => {
    const gpu = fakeGpu({ isFallback: true, subgroups: false });
    const never = check('linear', ['subgroups', 'tiles', 'dense'], ['dense']);
    const report = await selfTest(gpu, [never, check('attention', ['tiles'], [])]);
    expect([...gpu.off]).toEqual(['dense']);
    expect(report.checks.map(({ name }) => name)).toEqual(['attention']);
  });

  it('stores nothing in f16 where that alone is wrong, and has no check of it then', async () => {
    const gpu = fakeGpu();
    const report = await selfTest(gpu, [
      check('attention', ['subgroups', 'tiles'], []),
      check('attention, f16', ['halves'], ['halves']),
      check('linear, f16', ['halves', 'dense'], []),
    ]);
    expect([...gpu.off]).toEqual(['halves']);
    expect(report.checks.map(({ name, variant }) => [name, variant])).toEqual([
      ['attention', 'tiles, subgroups'],
    ]);
  });

  it('refuses a GPU on which nothing is left', async () => {
    const wrong = check('attention 4 x 32', ['tiles'], ['dense']);
    await expect(selfTest(fakeGpu(), [wrong])).rejects.toThrow(/attention 4 x 32 give wrong values/);
  });

  it('counts a value that is no number as wrong', () => {
    expect(relativeError([1, Number.NaN], [1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([1, 2.2], [1, 2])).toBeCloseTo(0.1);
  });
});

describe('modelChecks', () => {
  it('are those of f16 as well where the language model stores it, once each, behind those of f32', async () => {
    const config = parseConfig(await publishedConfig());
    const names = (dtype: 'f32' | 'f16') => {
      const passes = { kv_dtype: dtype, activation_dtype: dtype };
      return modelChecks(config, ['f32', 'f16', 'q8', 'q4'], { weights: 'q4', passes }).map(
        ({ name }) => name,
      );
    };
    const halves = names('f16').slice(names('f32').length);
    expect(names('f16')).toEqual([...names('f32'), ...halves]);
    expect(halves).toEqual([
      'attention 16 x 128, shared prefix, f16',
      'rotary embedding, KV cache, f16',
      'linear layers q4, rows f16',
    ]);
    // Checks are remembered by their names.
    expect(new Set(names('f16')).size).toBe(names('f16').length);
  });
});

describe('KernelTests', () => {
  const answers = [check('linear', ['subgroups', 'tiles'], []), check('sampler', [], [])];
  const training = [check('gradients', ['subgroups', 'tiles'], ['subgroups'])];

  it('tells of the tests of answers and of training together, each run once', async () => {
    const memory = new Map<string, unknown>();
    const told: SelfTestReport[] = [];
    const gpu = fakeGpu();
    const tests = new KernelTests(gpu, memory, (report) => told.push(report));
    await tests.test(answers);
    expect(told.map(({ checks, off }) => [checks.length, off.length])).toEqual([[2, 0]]);
    await tests.test(training);
    await tests.test(training);
    expect(told.map(({ checks, off }) => [checks.length, off.length])).toEqual([
      [2, 0],
      [3, 1],
    ]);
    expect([...gpu.off]).toEqual(['subgroups']);
    await tests.again();
    expect(told.at(-1)!.checks.map(({ name, variant }) => [name, variant])).toEqual([
      ['linear', 'tiles'],
      ['sampler', 'registers'],
      ['gradients', 'tiles'],
    ]);

    // The next visit: nothing is run before training, and what was wrong is off once training begins.
    const later = fakeGpu();
    const next = new KernelTests(later, memory, (report) => told.push(report));
    await next.test(answers);
    expect([told.at(-1)!.remembered, later.off.size]).toEqual([true, 0]);
    await next.test(training);
    expect(told.at(-1)).toMatchObject({ remembered: true, off: [{ kind: 'subgroups' }] });
    expect([...later.off]).toEqual(['subgroups']);
  });
});

describe('BackendChoices', () => {
  it('takes the faster backend for a class of rows, and remembers it', () => {
    let told = 0;
    const choices = new BackendChoices([], () => told++);
    expect(choices.find('block', 8)).toBeUndefined();
    choices.measure('block', 8, 3, 1);
    choices.measure('block', 300, 2, 5);
    choices.note('patches', 'ort', 'Our kernels lack it.');
    expect(choices.find('block', 16)).toMatchObject({ backend: 'wgsl', rows: 16 });
    expect(choices.find('block', 1000)).toMatchObject({ backend: 'ort', rows: 1024 });
    expect(choices.find('block', 17)).toBeUndefined();
    expect(told).toBe(3);
    const later = new BackendChoices(choices.measurements());
    expect(later.find('block', 9)?.why).toBe('Measured here: 1.00 ms against 3.00 ms of the other.');
    expect(later.list()).toHaveLength(2);
    // Of few rows our kernels are issued from a recording, which the runtime ends.
    expect(later.measure('block', 8, 1, 1.4)).toMatchObject({
      backend: 'wgsl',
      why: 'Measured here: 1.40 ms against 1.00 ms of the other. That has to be 1.5 times faster to end the recording of steps.',
    });
    expect(later.measure('block', 8, 1, 1.6).backend).toBe('ort');
    expect(later.measure('block', 300, 1, 1.1).backend).toBe('ort');
    expect([rowClass(1), rowClass(2), rowClass(5000)]).toEqual([1, 4, null]);
  });
});

describe('adapterKey', () => {
  const adapter = {
    vendor: 'v',
    architecture: 'a',
    description: 'd',
    isFallback: false,
    features: ['subgroups'],
    limits: {
      maxBufferSize: 1,
      maxStorageBufferBindingSize: 1,
      maxComputeWorkgroupStorageSize: 1,
      maxComputeInvocationsPerWorkgroup: 1,
      maxStorageBuffersPerShaderStage: 1,
    },
  };

  it('changes with the adapter and with any kernel', () => {
    const key = adapterKey(adapter, { a: 'x' });
    expect(adapterKey(adapter, { a: 'x' })).toBe(key);
    expect(adapterKey(adapter, { a: 'y' })).not.toBe(key);
    expect(adapterKey({ ...adapter, features: [] }, { a: 'x' })).not.toBe(key);
    expect(adapterKey({ ...adapter, description: 'e' }, { a: 'x' })).not.toBe(key);
    // FNV-1a of "a", from its specification.
    expect(hashTexts(['a'])).toBe('e40c292c');
  });
});
