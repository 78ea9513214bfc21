import type { InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
import { loadOrt, type Ort } from '../blocks/ort/load-ort';
import { encodeModel } from '../blocks/ort/onnx-proto';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor, uploadTensor } from '../gpu/tensor';
import type { DecodeScene } from './decode-scene';
import { wholeGraph } from './whole-graph';

/** ONNX Runtime writing answers with the whole decoder in one graph. */
export interface GraphDecoder {
  /** `[B, V]` f32, written by `step`. */
  logits: GpuTensor;
  /** Goes back to the prompt. */
  restart(): void;
  /** Issues a step: a token of each sequence -> `logits`. @param tokens i32 `[B]`. */
  step(tokens: GpuTensor): Promise<void>;
  destroy(): Promise<void>;
}

/** Keys and values of all layers, in the order of the graph's names. */
type Caches = readonly GpuTensor[];

/**
 * Opens the graph for `batch` sequences behind the scene's prompt, which each has a copy of: the runtime's attention
 * cannot share one. Keys and values go from one set of buffers to another and back, since an output may not be the same
 * buffer as an input.
 * @throws Error where the runtime refuses the graph, GpuMemoryError where there is no room.
 */
export async function openGraphDecoder(gpu: Gpu, scene: DecodeScene, batch: number): Promise<GraphDecoder> {
  const { text, prefix, graph_tokens: count } = scene.spec;
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim, vocab_size } = text;
  const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const owned: GpuTensor[] = [];
  const own = (tensor: GpuTensor): GpuTensor => {
    owned.push(tensor);
    return tensor;
  };
  const free = () => {
    for (const { buffer } of owned) buffer.destroy();
  };
  let session: InferenceSession | undefined;
  try {
    const prompt: GpuTensor[] = [];
    for (let i = 0; i < layers; i++) {
      const { k, v } = await scene.prefixValues(i);
      for (const values of [k, v]) {
        const copied = copies(values, batch, prefix, heads, head_dim);
        prompt.push(
          own(uploadTensor(gpu, copied, [batch, heads, prefix, head_dim], 'f32', 'runtime prompt')),
        );
      }
    }
    const room = [batch, heads, prefix + count, head_dim];
    const caches = [0, 1].map(() => names.map(() => own(createTensor(gpu, room, 'f32', 'runtime cache'))));
    const logits = own(createTensor(gpu, [batch, vocab_size], 'f32', 'runtime logits'));
    const seqlens = own(createTensor(gpu, [batch], 'i32', 'runtime lengths'));
    await gpu.memory.check();
    const ort = await loadOrt();
    session = await ort.InferenceSession.create(encodeModel(wholeGraph(scene.spec, 2 * prefix)), {
      executionProviders: [{ name: 'webgpu', device: gpu.device, validationMode: 'disabled' }],
      graphOptimizationLevel: 'all',
    });
    const opened = session;
    const wrapped = wrapper(ort);
    let rows = prefix;
    let past: Caches = prompt;
    return {
      logits,
      restart() {
        rows = prefix;
        past = prompt;
      },
      async step(tokens) {
        const present = caches[rows % 2]!;
        gpu.device.queue.writeBuffer(seqlens.buffer, 0, new Int32Array(batch).fill(rows));
        const feeds: Record<string, Tensor> = {
          tokens: wrapped(tokens, [batch, 1]),
          seqlens: wrapped(seqlens, [batch]),
          total: new ort.Tensor('int32', new Int32Array([rows + 1]), [1]) as Tensor,
        };
        const fetches: Record<string, Tensor> = {
          logits: wrapped(logits, [batch, 1, vocab_size]),
        };
        for (const [i, name] of names.entries()) {
          feeds[`past.${name}`] = wrapped(past[i]!, [batch, heads, rows, head_dim]);
          fetches[`present.${name}`] = wrapped(present[i]!, [batch, heads, rows + 1, head_dim]);
        }
        await opened.run(feeds, fetches);
        past = present;
        rows += 1;
      },
      async destroy() {
        await opened.release();
        free();
      },
    };
  } catch (cause) {
    await session?.release();
    free();
    throw cause;
  }
}

function wrapper(ort: Ort): (tensor: GpuTensor, dims: readonly number[]) => Tensor {
  return ({ buffer, dtype }, dims) =>
    ort.Tensor.fromGpuBuffer(buffer, { dataType: dtype === 'i32' ? 'int32' : 'float32', dims }) as Tensor;
}

/** `[P, heads, D]` -> `[batch, heads, P, D]`. */
function copies(
  x: Float32Array<ArrayBuffer>,
  batch: number,
  rows: number,
  heads: number,
  head_dim: number,
): Float32Array<ArrayBuffer> {
  const one = new Float32Array(rows * heads * head_dim);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row++) {
      const from = (row * heads + head) * head_dim;
      one.set(x.subarray(from, from + head_dim), (head * rows + row) * head_dim);
    }
  }
  const out = new Float32Array(batch * one.length);
  for (let b = 0; b < batch; b++) out.set(one, b * one.length);
  return out;
}
