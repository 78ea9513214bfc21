import type { BlockGraph, BlockRuntime } from '../../src/blocks/block-graph';
import type { ValueSpec } from '../../src/blocks/graph';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readTensor, uploadTensor, writeTensor } from '../../src/gpu/tensor';
import { fromHalf, toHalf } from './half';

/** The residual stream, norms, and what the sampler reads: f32 however the rest is stored. */
const ALWAYS_F32 = /^(hidden|residual|final_norm|logits)$|norm\.weight$/;

/**
 * A dense backend with everything in f16 that may be, behind one that is given and gives f32: queries, keys, values,
 * attention's output, weights and biases. What is converted goes through the CPU.
 */
export function halfBlocks(gpu: Gpu, runtime: BlockRuntime): BlockRuntime {
  return {
    async compile(written): Promise<BlockGraph> {
      const stored = (value: ValueSpec): ValueSpec =>
        ALWAYS_F32.test(value.name) ? value : { ...value, type: 'f16' };
      const [inputs, outputs] = [written.inputs.map(stored), written.outputs.map(stored)];
      const graph = await runtime.compile({ ...written, inputs, outputs });
      const isHalf = (name: string) => [...inputs, ...outputs].find((v) => v.name === name)?.type === 'f16';
      return {
        name: graph.name,
        inputs: graph.inputs,
        outputs: graph.outputs,
        destroy: () => graph.destroy(),
        async run(given, results) {
          const made: GpuTensor[] = [];
          const halves = async (tensors: typeof given, make: (tensor: GpuTensor) => Promise<GpuTensor>) => {
            const out: Record<string, GpuTensor> = {};
            for (const [name, tensor] of Object.entries(tensors)) {
              out[name] = isHalf(name) && tensor.dtype === 'f32' ? await make(tensor) : tensor;
              if (out[name] !== tensor) made.push(out[name]);
            }
            return out;
          };
          const x = await halves(given, async (tensor) => {
            const values = toHalf((await readTensor(gpu, tensor)) as Float32Array);
            return uploadTensor(gpu, values, tensor.shape, 'f16', 'input in f16');
          });
          const y = await halves(results, async ({ shape }) =>
            createTensor(gpu, shape, 'f16', 'output in f16'),
          );
          await graph.run(x, y);
          for (const [name, tensor] of Object.entries(results)) {
            if (y[name] !== tensor)
              writeTensor(gpu, tensor, fromHalf((await readTensor(gpu, y[name]!)) as Uint16Array));
          }
          for (const { buffer } of made) buffer.destroy();
        },
      };
    },
  };
}
