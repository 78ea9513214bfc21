import copyCode from '../../shaders/attention/copy-rows.wgsl?raw';
import embedCode from '../../shaders/attention/embed-tokens.wgsl?raw';
import packedCode from '../../shaders/linear/embed-packed.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import { isPacked, packedKernel } from '../gpu/packed-weights';
import type { Binding, Recorder } from '../gpu/recorder';
import { blocksOf, type DType, type GpuTensor, sizeOf } from '../gpu/tensor';
import { foldGrid } from './grid';

/** Width of rows in vec4s. */
function vectors(name: string, tensor: GpuTensor, dtype: DType = 'f32'): number {
  const width = tensor.shape.at(-1)!;
  if (tensor.dtype !== dtype || width % 4 !== 0) {
    throw new Error(
      `${name} takes ${dtype} rows whose width is a multiple of 4, not [${tensor.shape.join(', ')}] ${tensor.dtype}.`,
    );
  }
  return width / 4;
}

function rowsOf(tensor: GpuTensor): number {
  return sizeOf(tensor.shape) / tensor.shape.at(-1)!;
}

function checkFit(name: string, x: GpuTensor, end: number): void {
  if (end > rowsOf(x))
    throw new Error(`${name}: rows up to ${end} of a tensor of shape [${x.shape.join(', ')}].`);
}

/** Looks up the embedding rows of token ids that lie on the GPU, so that a sampled token never visits the CPU. */
export class EmbedTokens {
  private readonly params = new Uint32Array(8);

  private constructor(
    private readonly kernel: Kernel,
    private readonly dtype: DType,
  ) {}

  /** Compiles the kernel for a table of that type: f32, f16, q8 or q4. */
  static async create(gpu: Gpu, dtype: DType = 'f32'): Promise<EmbedTokens> {
    const source = isPacked(dtype) ? packedKernel(packedCode, dtype, 4) : { code: embedCode };
    return new EmbedTokens(await compileKernel(gpu, { name: 'embed tokens', ...source }), dtype);
  }

  /**
   * Records out[row_offset + i] = table[tokens[token_offset + i]] for i < count.
   * Negative ids (the image placeholder) and ids beyond the table leave their row as it is.
   * @param options.tokens i32 ids; default count: all of them
   * @param options.table `[vocab, H]` of the type that the kernel was compiled for, H a multiple of 4
   * @param options.out f32 `[rows, H]`
   * @throws Error when widths differ or rows are beyond a tensor.
   */
  record(
    recorder: Recorder,
    options: {
      tokens: GpuTensor;
      table: GpuTensor;
      out: GpuTensor;
      count?: number;
      token_offset?: number;
      row_offset?: number;
    },
  ): void {
    const { tokens, table, out, token_offset = 0, row_offset = 0 } = options;
    const count = options.count ?? sizeOf(tokens.shape) - token_offset;
    const width = vectors('EmbedTokens', table, this.dtype);
    if (vectors('EmbedTokens', out) !== width)
      throw new Error(`EmbedTokens: table rows of ${4 * width}, output rows of ${out.shape.at(-1)}.`);
    if (tokens.dtype !== 'i32') throw new Error(`EmbedTokens takes i32 ids, not ${tokens.dtype}.`);
    if (token_offset + count > sizeOf(tokens.shape))
      throw new Error(`EmbedTokens: ids up to ${token_offset + count} of ${sizeOf(tokens.shape)}.`);
    checkFit('EmbedTokens', out, row_offset + count);
    if (count === 0) return;
    if (isPacked(this.dtype)) {
      this.params.set([count, width, blocksOf(4 * width), rowsOf(table), token_offset, row_offset]);
      const bindings = [tokens, table, out, ...(table.scales ? [table.scales] : [])];
      recorder.dispatch(this.kernel, this.params, bindings, foldGrid(count * Math.ceil(width / 2), 64));
      return;
    }
    this.params.set([count, width, rowsOf(table), token_offset, row_offset]);
    recorder.dispatch(this.kernel, this.params, [tokens, table, out], foldGrid(count * width, 64));
  }
}

/** Copies rows between tensors: visual tokens into the prompt's rows, the rows whose logits are wanted out of all. */
export class CopyRows {
  private readonly params = new Uint32Array(8);

  private constructor(
    private readonly plain: Kernel,
    private readonly indexed: Kernel,
  ) {}

  /** Compiles the kernels. */
  static async create(gpu: Gpu): Promise<CopyRows> {
    const compile = (INDEXED: 0 | 1) =>
      compileKernel(gpu, { name: 'copy rows', code: expandWgsl(copyCode, { INDEXED }) });
    const [plain, indexed] = await Promise.all([compile(0), compile(1)]);
    return new CopyRows(plain, indexed);
  }

  /**
   * Records out[to_row + i] = x[from_row + i] for i < count (PutRows). Both f32, the last dimension is the row.
   * @throws Error when widths differ or rows are beyond a tensor.
   */
  put(
    recorder: Recorder,
    options: { x: GpuTensor; out: GpuTensor; count?: number; from_row?: number; to_row?: number },
  ): void {
    const { x, out, from_row = 0, to_row = 0 } = options;
    const count = options.count ?? rowsOf(x) - from_row;
    checkFit('CopyRows', x, from_row + count);
    this.dispatch(recorder, this.plain, x, out, count, from_row, to_row, []);
  }

  /**
   * Records out[to_row + i] = x[rows[i]] for i < count (GatherRows). `rows` is u32 on the GPU; indices beyond x leave
   * their row as it is.
   * @throws Error when widths differ or rows are beyond `out`.
   */
  gather(
    recorder: Recorder,
    options: { x: GpuTensor; rows: GpuTensor; out: GpuTensor; count?: number; to_row?: number },
  ): void {
    const { x, rows, out, to_row = 0 } = options;
    const count = options.count ?? sizeOf(rows.shape);
    if (count > sizeOf(rows.shape))
      throw new Error(`CopyRows: ${count} rows wanted, ${sizeOf(rows.shape)} indices given.`);
    this.dispatch(recorder, this.indexed, x, out, count, 0, to_row, [rows]);
  }

  private dispatch(
    recorder: Recorder,
    kernel: Kernel,
    x: GpuTensor,
    out: GpuTensor,
    count: number,
    from: number,
    to: number,
    more: Binding[],
  ): void {
    const width = vectors('CopyRows', x);
    if (vectors('CopyRows', out) !== width)
      throw new Error(`CopyRows: rows of ${4 * width} into rows of ${out.shape.at(-1)}.`);
    checkFit('CopyRows', out, to + count);
    if (count === 0) return;
    this.params.set([count, width, rowsOf(x), from, to]);
    recorder.dispatch(kernel, this.params, [x, out, ...more], foldGrid(count * width, 64));
  }
}
