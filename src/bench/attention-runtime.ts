import type { BlockGraph } from '../blocks/block-graph';
import type { GraphModel, ValueSpec } from '../blocks/graph';
import { OrtRuntime } from '../blocks/ort/ort-runtime';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { copyPrefix, type SceneValues } from './attention-scene';
import type { AttentionSpec } from './attention-specs';

/** ONNX Runtime's own operator on the values of a spec. */
export interface RuntimeAttention {
  run(): Promise<void>;
  /** `[rows, Hq, D]`, in our order. */
  read(): Promise<Float32Array>;
  destroy(): Promise<void>;
}

/**
 * Opens the runtime's operator for a spec: `GroupQueryAttention` for decoding (a batch of children, each with its own
 * copy of the prefix: it cannot share one) and for a causal prompt, `MultiHeadAttention` for full attention. Undefined
 * where it has none: several rows a child behind a past, gradients, and halves beside f32 queries.
 * @throws Error where the runtime refuses the graph, GpuMemoryError where there is no room.
 */
export async function openRuntimeAttention(
  gpu: Gpu,
  spec: AttentionSpec,
  values: SceneValues,
): Promise<RuntimeAttention | undefined> {
  if (spec.kernel === 'backward' || spec.dtype !== 'f32' || (spec.kernel === 'prefill' && spec.children > 0))
    return undefined;
  const { q_heads, kv_heads, head_dim } = spec.shape;
  const batch = Math.max(1, spec.children);
  const total = spec.prefix + spec.suffix;
  const rows = spec.kernel === 'decode' ? 1 : total;
  const past = total - rows;
  const rowSize = kv_heads * head_dim;
  const copied = (x: Float32Array<ArrayBuffer>) => (spec.children > 0 ? copyPrefix(spec, x, rowSize) : x);
  const tensors: GpuTensor[] = [];
  const upload = (data: Float32Array<ArrayBuffer>, shape: number[], name: string): GpuTensor => {
    const tensor = uploadTensor(gpu, data, shape, 'f32', `runtime ${name}`);
    tensors.push(tensor);
    return tensor;
  };
  const make = (shape: number[], name: string): GpuTensor => {
    const tensor = createTensor(gpu, shape, 'f32', `runtime ${name}`);
    tensors.push(tensor);
    return tensor;
  };
  const inputs: Record<string, GpuTensor> = {
    query: upload(values.q, [batch, rows, q_heads * head_dim], 'q'),
  };
  const outputs: Record<string, GpuTensor> = { o: make([batch, rows, q_heads * head_dim], 'o') };
  for (const [name, x] of Object.entries({ key: copied(values.k), value: copied(values.v) })) {
    inputs[name] = upload(lastRows(x, batch, total, rows, rowSize), [batch, rows, rowSize], name);
    if (!spec.causal) continue;
    if (past > 0)
      inputs[`past_${name}`] = upload(
        byHeads(x, batch, total, past, kv_heads, head_dim),
        [batch, kv_heads, past, head_dim],
        `past ${name}`,
      );
    outputs[`present_${name}`] = make([batch, kv_heads, total, head_dim], `present ${name}`);
  }
  const free = () => {
    for (const { buffer } of tensors) buffer.destroy();
  };
  let graph: BlockGraph;
  try {
    await gpu.memory.check();
    graph = await OrtRuntime.create(gpu).compile(
      spec.causal ? groupQuery(spec, inputs, outputs, batch, total) : multiHead(spec, inputs),
    );
  } catch (cause) {
    free();
    throw cause;
  }
  return {
    run: () => graph.run(inputs, outputs),
    read: () => readF32(gpu, outputs.o!),
    async destroy() {
      await graph.destroy();
      free();
    },
  };
}

function groupQuery(
  { shape }: AttentionSpec,
  inputs: Readonly<Record<string, GpuTensor>>,
  outputs: Readonly<Record<string, GpuTensor>>,
  batch: number,
  total: number,
): GraphModel {
  const given = (name: string) => (name in inputs ? name : '');
  return {
    name: 'GroupQueryAttention',
    nodes: [
      {
        op: 'GroupQueryAttention',
        domain: 'com.microsoft',
        name: 'attention',
        inputs: ['query', 'key', 'value', given('past_key'), given('past_value'), 'last', 'total'],
        outputs: ['o', 'present_key', 'present_value'],
        attributes: {
          num_heads: { kind: 'int', value: shape.q_heads },
          kv_num_heads: { kind: 'int', value: shape.kv_heads },
        },
      },
    ],
    inputs: specs(inputs),
    outputs: Object.keys(outputs).map((name) => ({ name, type: 'f32' as const })),
    constants: [
      { name: 'last', type: 'i32', dims: [batch], values: Array<number>(batch).fill(total - 1) },
      { name: 'total', type: 'i32', dims: [1], values: [total] },
    ],
  };
}

function multiHead({ shape }: AttentionSpec, inputs: Readonly<Record<string, GpuTensor>>): GraphModel {
  return {
    name: 'MultiHeadAttention',
    nodes: [
      {
        op: 'MultiHeadAttention',
        domain: 'com.microsoft',
        name: 'attention',
        inputs: ['query', 'key', 'value'],
        outputs: ['o'],
        attributes: { num_heads: { kind: 'int', value: shape.q_heads } },
      },
    ],
    inputs: specs(inputs),
    outputs: [{ name: 'o', type: 'f32' }],
    constants: [],
  };
}

function specs(tensors: Readonly<Record<string, GpuTensor>>): ValueSpec[] {
  return Object.entries(tensors).map(([name, { shape }]) => ({ name, type: 'f32', dims: shape }));
}

/** The last `rows` of each sequence of `[batch, total, size]`. */
function lastRows(
  x: Float32Array<ArrayBuffer>,
  batch: number,
  total: number,
  rows: number,
  size: number,
): Float32Array<ArrayBuffer> {
  if (rows === total) return x;
  const out = new Float32Array(batch * rows * size);
  for (let b = 0; b < batch; b++)
    out.set(x.subarray(((b + 1) * total - rows) * size, (b + 1) * total * size), b * rows * size);
  return out;
}

/** The first `rows` of each sequence of `[batch, total, heads, D]`, as `[batch, heads, rows, D]`. */
function byHeads(
  x: Float32Array<ArrayBuffer>,
  batch: number,
  total: number,
  rows: number,
  heads: number,
  head_dim: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(batch * heads * rows * head_dim);
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const from = ((b * total + row) * heads + head) * head_dim;
        out.set(x.subarray(from, from + head_dim), ((b * heads + head) * rows + row) * head_dim);
      }
    }
  }
  return out;
}
