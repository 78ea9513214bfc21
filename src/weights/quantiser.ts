import quantiseCode from '../../shaders/weights/quantise.wgsl?raw';
import sumCode from '../../shaders/weights/sum-pairs.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import { Recorder } from '../gpu/recorder';
import {
  blocksOf,
  createTensor,
  destroyTensor,
  type GpuTensor,
  isQuantised,
  readF32,
  sizeOf,
} from '../gpu/tensor';
import { FLOAT_BYTES, type FloatDtype } from './widen';

/** How a weight can be stored on the GPU, the most bits first: as it is in f32, in halves, in blocks of 8 or 4 bits. */
export const WEIGHT_PRECISIONS = ['f32', 'f16', 'q8', 'q4'] as const;
export type WeightPrecision = (typeof WEIGHT_PRECISIONS)[number];

/** Rows of a weight as stored in a file. */
export interface StoredRows {
  /** Little-endian values of whole rows. */
  bytes: Uint8Array<ArrayBuffer>;
  dtype: FloatDtype;
  /** The first of them in the tensor. */
  row: number;
}

const GROUP = 64;
const MAX_GROUPS = 65_535;
const SOURCES = ['F32', 'F16', 'BF16'] as const;
const TARGETS = { q4: 'Q4', q8: 'Q8', f16: 'H16' } as const;

/**
 * Converts weights on the GPU while they are loaded: bytes as stored go to a buffer that is used again and again, and
 * from there to the tensor. The error that it makes is summed up as it goes.
 */
export class Quantiser {
  private readonly kernels = new Map<string, Kernel>();
  private readonly recorder: Recorder;
  private readonly names: string[] = [];

  private constructor(
    private readonly gpu: Gpu,
    private readonly sum: Kernel,
    private readonly staging: GpuTensor,
    private readonly partials: GpuTensor,
    private readonly totals: GpuTensor,
  ) {
    this.recorder = new Recorder(gpu, 'quantise');
  }

  /**
   * @param options.conversions what will be asked for
   * @param options.staging_bytes most bytes of one `convert`
   * @param options.parts most calls of `convert`
   */
  static async create(
    gpu: Gpu,
    options: {
      conversions: Iterable<readonly [FloatDtype, Exclude<WeightPrecision, 'f32'>]>;
      staging_bytes: number;
      parts: number;
    },
  ): Promise<Quantiser> {
    const sum = await compileKernel(gpu, { name: 'sum pairs', code: sumCode });
    // Values have two bytes at least, and a row, the last block of which may have few of them, is a multiple of 4 long.
    const blocks = Math.ceil(options.staging_bytes / 8);
    const make = (n: number, dtype: 'u32' | 'f32', label: string) => createTensor(gpu, [n], dtype, label);
    const quantiser = new Quantiser(
      gpu,
      sum,
      make(Math.ceil(options.staging_bytes / 4) + 1, 'u32', 'weights as stored'),
      make(2 * blocks, 'f32', 'quantisation errors'),
      make(2 * options.parts, 'f32', 'quantisation error sums'),
    );
    const wanted = new Set([...options.conversions].map(([from, to]) => `${from} ${to}`));
    await Promise.all([...wanted].map((name) => quantiser.compile(name)));
    return quantiser;
  }

  /**
   * Writes whole rows of a tensor `[N, K]` (f16, q4 or q8) from bytes as stored. Values must be finite; f16 takes an even
   * number of values, and parts that begin at a multiple of 32 values. The bytes may be overwritten after the call.
   */
  convert(name: string, tensor: GpuTensor, { bytes, dtype, row }: StoredRows): void {
    const columns = tensor.shape.at(-1)!;
    const values = bytes.byteLength / FLOAT_BYTES[dtype];
    const flat = !isQuantised(tensor.dtype);
    const [rows, width] = flat ? [1, values] : [values / columns, columns];
    const first = flat ? (row * columns) / 32 : row * blocksOf(columns);
    if (!Number.isInteger(rows) || !Number.isInteger(first))
      throw new Error(`${name}: rows of ${columns} values cannot be converted in parts of ${values}.`);
    const whole = bytes.byteLength & ~3;
    const { queue } = this.gpu.device;
    queue.writeBuffer(this.staging.buffer, 0, bytes, 0, whole);
    if (whole < bytes.byteLength) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      queue.writeBuffer(this.staging.buffer, whole, tail);
    }
    const blocks = blocksOf(width);
    if (2 * rows * blocks > sizeOf(this.partials.shape))
      throw new Error(
        `${name}: rows of ${columns} values are not converted: 4 is the least, in multiples of it.`,
      );
    const groups = Math.ceil((rows * blocks) / GROUP);
    const y = Math.ceil(groups / MAX_GROUPS);
    const x = Math.ceil(groups / y);
    this.recorder.dispatch(
      this.kernels.get(`${dtype} ${tensor.dtype}`)!,
      new Uint32Array([rows, width, blocks, first]),
      [this.staging, tensor, this.partials, ...(tensor.scales ? [tensor.scales] : [])],
      [x, y],
    );
    const slot = this.names.push(name) - 1;
    this.recorder.dispatch(
      this.sum,
      new Uint32Array([rows * blocks, slot]),
      [this.partials, this.totals],
      [1],
    );
    this.recorder.submit();
  }

  /** Relative error (root mean square) of every tensor that was converted, by name. */
  async errors(): Promise<Map<string, number>> {
    const sums = new Map<string, [number, number]>();
    const totals = await readF32(this.gpu, this.totals);
    for (const [slot, name] of this.names.entries()) {
      const [error, square] = sums.get(name) ?? [0, 0];
      sums.set(name, [error + totals[2 * slot]!, square + totals[2 * slot + 1]!]);
    }
    return new Map(
      [...sums].map(([name, [error, square]]) => [name, square === 0 ? 0 : Math.sqrt(error / square)]),
    );
  }

  /** Frees the buffers; work that was submitted ends first. */
  destroy(): void {
    for (const tensor of [this.staging, this.partials, this.totals]) destroyTensor(tensor);
  }

  private async compile(name: string): Promise<void> {
    const [from, to] = name.split(' ') as [FloatDtype, keyof typeof TARGETS];
    const counts = Object.fromEntries([
      ...SOURCES.map((source) => [source, +(source === from)]),
      ...Object.entries(TARGETS).map(([dtype, count]) => [count, +(dtype === to)]),
    ]);
    const kernel = await compileKernel(this.gpu, {
      name: `quantise ${name}`,
      code: expandWgsl(quantiseCode, counts),
    });
    this.kernels.set(name, kernel);
  }
}
