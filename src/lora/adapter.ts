import type { WeightSource } from '../blocks/block-weights';
import type { LoraTarget, Qwen2Shape } from '../blocks/qwen2-graphs';
import { randomUniforms } from '../generate/random';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor, readF32, sizeOf, writeTensor } from '../gpu/tensor';
import { type DecoderLora, layerPrefix } from '../model/decoder-steps';
import { checkLoraConfig, type LoraConfig, loraScaling, paddedRank } from './lora-config';

/** Dimensions of the decoder that is adapted. */
export type AdaptedShape = Qwen2Shape & { num_hidden_layers: number };

/** Shapes of a LoRA's tensors by name, in the order of layers and targets: A `[r, in]`, B `[out, r]`. */
export function loraShapes(config: LoraConfig, shape: AdaptedShape): Map<string, readonly [number, number]> {
  const { hidden_size: H, intermediate_size: M, num_attention_heads, num_key_value_heads, head_dim } = shape;
  const Q = num_attention_heads * head_dim;
  const KV = num_key_value_heads * head_dim;
  const sizes: Record<LoraTarget, [number, number]> = {
    'self_attn.q_proj': [Q, H],
    'self_attn.k_proj': [KV, H],
    'self_attn.v_proj': [KV, H],
    'self_attn.o_proj': [H, Q],
    'mlp.gate_proj': [M, H],
    'mlp.up_proj': [M, H],
    'mlp.down_proj': [H, M],
  };
  const shapes = new Map<string, readonly [number, number]>();
  for (let layer = 0; layer < shape.num_hidden_layers; layer++) {
    if (config.layers_to_transform && !config.layers_to_transform.includes(layer)) continue;
    for (const target of config.target_modules) {
      const [out, width] = sizes[target];
      shapes.set(`${layerPrefix(layer)}${target}.lora_A.weight`, [config.r, width]);
      shapes.set(`${layerPrefix(layer)}${target}.lora_B.weight`, [out, config.r]);
    }
  }
  return shapes;
}

/** A LoRA's weights on the GPU, f32, by checkpoint name. Base weights stay where they are, untouched. */
export class LoraAdapter implements WeightSource {
  private constructor(
    private readonly gpu: Gpu,
    readonly config: LoraConfig,
    /** Shapes without padding, as in files, in the order of layers and targets. */
    readonly shapes: ReadonlyMap<string, readonly [number, number]>,
    /** In the same order, with the rank padded (see `paddedRank`). */
    readonly tensors: ReadonlyMap<string, GpuTensor>,
  ) {}

  /**
   * Allocates a LoRA: all zero, until `initialise` or `set`.
   * @throws Error where the configuration does not fit the decoder.
   */
  static create(gpu: Gpu, config: LoraConfig, shape: AdaptedShape): LoraAdapter {
    checkLoraConfig(config, shape.num_hidden_layers);
    const shapes = loraShapes(config, shape);
    const tensors = new Map<string, GpuTensor>();
    for (const [name, dims] of loraShapes({ ...config, r: paddedRank(config.r) }, shape))
      tensors.set(name, createTensor(gpu, dims, 'f32', name));
    return new LoraAdapter(gpu, config, shapes, tensors);
  }

  /** PEFT's start: A uniform within +-1/sqrt(in) (Kaiming with a = sqrt(5)), B zero, so that nothing changes yet. */
  initialise(seed: number): void {
    for (const [i, [name, [rows, width]]] of [...this.shapes].entries()) {
      const values = new Float32Array(rows * width);
      if (name.endsWith('lora_A.weight')) {
        const bound = 1 / Math.sqrt(width);
        const uniforms = randomUniforms(seed, i, values.length);
        for (let j = 0; j < values.length; j++) values[j] = bound * (2 * uniforms[j]! - 1);
      }
      this.set(name, values);
    }
  }

  /** A tensor by checkpoint name. @throws Error where the LoRA has none of that name. */
  get(name: string): GpuTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new Error(`The LoRA has no ${name}.`);
    return tensor;
  }

  /** Overwrites a tensor's values, without padding. @throws Error for a name or length that is not its own. */
  set(name: string, values: Float32Array<ArrayBuffer>): void {
    const tensor = this.get(name);
    const [rows, width] = this.shapes.get(name)!;
    if (values.length !== rows * width)
      throw new Error(`${name} has ${values.length} values, and [${rows}, ${width}] are expected.`);
    const [, stride] = tensor.shape as [number, number];
    const padded = new Float32Array(sizeOf(tensor.shape));
    for (let row = 0; row < rows; row++)
      padded.set(values.subarray(row * width, (row + 1) * width), row * stride);
    writeTensor(this.gpu, tensor, padded);
  }

  /** All values, read back, without padding. */
  async read(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const values = new Map<string, Float32Array<ArrayBuffer>>();
    for (const [name, tensor] of this.tensors) {
      const padded = await readF32(this.gpu, tensor);
      const [rows, width] = this.shapes.get(name)!;
      const [, stride] = tensor.shape as [number, number];
      const own = new Float32Array(rows * width);
      for (let row = 0; row < rows; row++)
        own.set(padded.subarray(row * stride, row * stride + width), row * width);
      values.set(name, own);
    }
    return values;
  }

  /** What the decoder's graphs need to know of it. */
  get decoder(): DecoderLora {
    const { config } = this;
    const all = new Set(config.target_modules);
    const none = new Set<LoraTarget>();
    return {
      r: paddedRank(config.r),
      scaling: loraScaling(config),
      targets: (layer) => ((config.layers_to_transform?.includes(layer) ?? true) ? all : none),
    };
  }

  /** Frees the weights. */
  destroy(): void {
    for (const { buffer } of this.tensors.values()) buffer.destroy();
  }
}
