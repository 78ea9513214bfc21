import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { compileKernel } from '../../src/gpu/kernel';
import { Recorder } from '../../src/gpu/recorder';
import { createTensor, readF32, readTensor, uploadTensor } from '../../src/gpu/tensor';
import { UniformRing } from '../../src/gpu/uniforms';

const SCALE_ADD = `
struct Params { n: u32, scale: f32, shift: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.n) { x[id.x] = x[id.x] * params.scale + params.shift; }
}`;

function params(n: number, scale: number, shift: number): ArrayBuffer {
  const block = new ArrayBuffer(12);
  new Uint32Array(block, 0, 1)[0] = n;
  new Float32Array(block, 4, 2).set([scale, shift]);
  return block;
}

describe('the gpu room', () => {
  let gpu: Gpu;
  const errors: string[] = [];
  beforeAll(async () => {
    gpu = await openGpu(navigator.gpu, (message) => errors.push(message));
  });
  afterAll(() => gpu.close());

  it('runs dispatches in order, each seeing the one before', async () => {
    const x = uploadTensor(gpu, new Float32Array([1, 2, 3, 4, 5]), [5], 'f32', 'x');
    const kernel = await compileKernel(gpu, { name: 'scale-add', code: SCALE_ADD });
    const recorder = new Recorder(gpu, 'test');
    recorder.dispatch(kernel, params(5, 2, 1), [x], [1]);
    recorder.dispatch(kernel, params(4, 10, 0), [x], [1]);
    recorder.submit();
    expect([...(await readF32(gpu, x))]).toEqual([30, 50, 70, 90, 11]);
    x.buffer.destroy();
  });

  it('issues what it captured again and again, with other uniform blocks where they have a slot', async () => {
    const x = uploadTensor(gpu, new Float32Array([1, 2, 3]), [3], 'f32', 'x');
    const kernel = await compileKernel(gpu, { name: 'scale-add', code: SCALE_ADD });
    const recorder = new Recorder(gpu, 'test');
    const recording = recorder.capture(() => {
      recorder.dispatch(kernel, params(3, 2, 0), [x], [1]);
      recorder.dispatch(kernel, params(3, 1, 1), [x], [1], 0);
      recorder.dispatch(kernel, params(3, 2, 0), [x], [1]);
    });
    expect(recording.length).toBe(3);
    recorder.submit();
    expect([...(await readF32(gpu, x))]).toEqual([1, 2, 3]);
    const twice = [6, 10, 14];
    for (const expected of [twice, twice.map((value) => 4 * value + 2)]) {
      recorder.replay(recording);
      recorder.submit();
      expect([...(await readF32(gpu, x))]).toEqual(expected);
    }
    recording.set(0, params(2, 0, 5), [1]);
    recorder.replay(recording);
    // A dispatch of its own stands behind the recorded ones.
    recorder.dispatch(kernel, params(1, 1, 0.5), [x], [1]);
    recorder.submit();
    expect([...(await readF32(gpu, x))]).toEqual([10.5, 10, 4 * (4 * 14 + 2)]);
    expect(() => recorder.capture(() => recorder.submit())).toThrow('only dispatches');
    recording.destroy();
    x.buffer.destroy();
  });

  it('keeps uniform blocks apart when one recording needs more of them than the ring has', async () => {
    const x = uploadTensor(gpu, new Float32Array([0]), [1], 'f32', 'x');
    const kernel = await compileKernel(gpu, { name: 'scale-add', code: SCALE_ADD });
    const recorder = new Recorder(gpu, 'test');
    const count = UniformRing.slots + 10;
    for (let i = 0; i < count; i++) recorder.dispatch(kernel, params(1, 1, i), [x], [1]);
    recorder.submit();
    expect((await readF32(gpu, x))[0]).toBe((count * (count - 1)) / 2);
    x.buffer.destroy();
  });

  it('counts the bytes of buffers made on the device, and their peak', () => {
    const before = gpu.memory.bytes;
    gpu.memory.resetPeak();
    const a = createTensor(gpu, [1000], 'f32', 'a');
    const b = createTensor(gpu, [250], 'f32', 'b');
    expect(gpu.memory.bytes - before).toBe(5000);
    a.buffer.destroy();
    a.buffer.destroy();
    expect(gpu.memory.bytes - before).toBe(1000);
    b.buffer.destroy();
    expect(gpu.memory.bytes).toBe(before);
    expect(gpu.memory.peakBytes - before).toBe(5000);
  });

  it('uploads and reads back arrays whose bytes are no multiple of four', async () => {
    const x = uploadTensor(gpu, new Uint8Array([1, 2, 3, 4, 5]), [5], 'u8', 'bytes');
    expect([...(await readTensor(gpu, x))]).toEqual([1, 2, 3, 4, 5]);
    x.buffer.destroy();
  });

  it('names the kernel and the line when WGSL does not compile', async () => {
    await expect(compileKernel(gpu, { name: 'broken', code: 'fn main( {}' })).rejects.toThrow(
      /kernel broken did not compile/,
    );
  });

  it('reported no validation errors', () => expect(errors).toEqual([]));
});
