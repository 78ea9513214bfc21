import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CopyRows, EmbedTokens } from '../../src/attention/rows';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { readF32, uploadTensor } from '../../src/gpu/tensor';
import { normals, seeded } from '../support/attention-cases';
import { sharedGpu } from '../support/shared-gpu';

describe('rows of embeddings', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await sharedGpu();
  });
  afterAll(() => gpu.close());

  it('looks tokens up, leaves the placeholder its rows, and puts visual tokens there', async () => {
    const width = 24;
    const table = normals(seeded(1), 50 * width);
    const visual = normals(seeded(2), 5 * width);
    const ids = Int32Array.from([3, 49, -200, 0, 50, 7]);
    const prompt = uploadTensor(gpu, new Float32Array(12 * width).fill(-5), [12, width], 'f32', 'prompt');
    const embed = await EmbedTokens.create(gpu);
    const copy = await CopyRows.create(gpu);
    const recorder = new Recorder(gpu, 'embed');
    const tokens = uploadTensor(gpu, ids, [6], 'i32', 'ids');
    const options = { tokens, table: uploadTensor(gpu, table, [50, width], 'f32', 'table'), out: prompt };
    embed.record(recorder, { ...options, count: 3 });
    embed.record(recorder, { ...options, token_offset: 3, row_offset: 6 });
    copy.put(recorder, {
      x: uploadTensor(gpu, visual, [5, width], 'f32', 'visual'),
      out: prompt,
      from_row: 1,
      count: 4,
      to_row: 2,
    });
    const rows = uploadTensor(gpu, Uint32Array.from([8, 0, 2, 99]), [4], 'u32', 'rows');
    const picked = uploadTensor(gpu, new Float32Array(5 * width).fill(-6), [5, width], 'f32', 'picked');
    copy.gather(recorder, { x: prompt, rows, out: picked, to_row: 1 });
    recorder.submit();
    const want = new Float32Array(12 * width).fill(-5);
    const row = (of: Float32Array, i: number) => of.subarray(i * width, (i + 1) * width);
    want.set(row(table, 3), 0);
    want.set(row(table, 49), width);
    want.set(visual.subarray(width), 2 * width);
    want.set(row(table, 0), 6 * width);
    want.set(row(table, 7), 8 * width);
    expect(await readF32(gpu, prompt)).toEqual(want);
    const wantPicked = new Float32Array(5 * width).fill(-6);
    for (const [i, from] of [8, 0, 2].entries()) wantPicked.set(row(want, from), (1 + i) * width);
    expect(await readF32(gpu, picked)).toEqual(wantPicked);
  });

  it('names what does not fit', async () => {
    const embed = await EmbedTokens.create(gpu);
    const copy = await CopyRows.create(gpu);
    const recorder = new Recorder(gpu, 'embed');
    const tokens = uploadTensor(gpu, new Int32Array(3), [3], 'i32', 'ids');
    const x = uploadTensor(gpu, new Float32Array(16), [2, 8], 'f32', 'x');
    const y = uploadTensor(gpu, new Float32Array(24), [2, 12], 'f32', 'y');
    expect(() => embed.record(recorder, { tokens, table: x, out: y })).toThrow(/rows of 8/);
    expect(() => embed.record(recorder, { tokens, table: x, out: x })).toThrow(/up to 3/);
    expect(() => copy.put(recorder, { x, out: y })).toThrow(/rows of 8 into rows of 12/);
  });
});
