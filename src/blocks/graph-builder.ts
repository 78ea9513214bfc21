import type {
  AttributeValue,
  ConstantSpec,
  Dim,
  ElementType,
  GraphModel,
  NodeSpec,
  ValueSpec,
} from './graph';

/** A value inside a graph that is being built: an input, a constant, or what a node gives. */
export interface Value {
  readonly id: string;
}

/**
 * Writes a graph of ONNX operators from code. Weights are inputs: a runtime binds our own GPU buffers to them, so one
 * graph serves every layer. Activations are `[rows, channels]`; a weight has PyTorch's layout `[out, in]`, which `gemm`
 * takes as it is.
 */
export class GraphBuilder {
  private readonly nodes: NodeSpec[] = [];
  private readonly constants: ConstantSpec[] = [];
  private readonly inputs: ValueSpec[] = [];
  private readonly outputs = new Map<string, { name: string; type: 'f32' | 'f16' }>();
  private readonly used = new Set<string>();
  private readonly halves = new Set<string>();

  constructor(readonly name: string) {}

  /** An input of the graph, activation or weight. `dims` may hold names ('rows') for what varies from run to run. */
  input(name: string, dims: readonly Dim[], type: ElementType = 'f32'): Value {
    if (this.inputs.some((input) => input.name === name)) {
      throw new Error(`Graph ${this.name}: the input ${name} is declared twice.`);
    }
    this.inputs.push({ name, type, dims });
    return { id: name };
  }

  /** Makes a value an output of the graph under `name`. As f16 it is rounded where it is written. */
  output(name: string, value: Value, type: 'f32' | 'f16' = 'f32'): void {
    if (this.outputs.has(value.id)) {
      throw new Error(
        `Graph ${this.name}: ${value.id} is already the output ${this.outputs.get(value.id)!.name}.`,
      );
    }
    if (this.inputs.some((input) => input.name === value.id)) {
      throw new Error(`Graph ${this.name}: the input ${value.id} cannot be an output too.`);
    }
    this.outputs.set(value.id, { name, type });
  }

  /** Has a value inside the graph, which a node gives, stored as `type` (see `GraphModel.halves`). */
  store(value: Value, type: 'f32' | 'f16'): Value {
    if (type === 'f16') this.halves.add(value.id);
    return value;
  }

  /** Any operator with one output. Inputs left out are `undefined`. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): Value {
    return this.outputsOf(op, inputs, 1, attributes)[0]!;
  }

  /** Any operator with `count` outputs. */
  outputsOf(
    op: string,
    inputs: readonly (Value | undefined)[],
    count: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): Value[] {
    const name = `${op}_${this.nodes.length}`;
    const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}_${i}`));
    for (const input of inputs) if (input) this.used.add(input.id);
    this.nodes.push({ op, name, inputs: inputs.map((input) => input?.id ?? ''), outputs, attributes });
    return outputs.map((id) => ({ id }));
  }

  /** A constant list of int64, for shapes, starts and ends. */
  ints(values: readonly number[]): Value {
    const id = `ints_${this.constants.length}`;
    this.constants.push({ name: id, dims: [values.length], values });
    return { id };
  }

  /** alpha x W^T + c. x: `[rows, in]`, weight: `[out, in]`, c: `[out]` (a bias) or `[rows, out]` (a residual). */
  gemm(x: Value, weight: Value, c?: Value, alpha = 1): Value {
    return this.matmul(x, weight, { transB: true, alpha }, c);
  }

  /** alpha a' b' + c, where ' transposes as the options say. c as in `gemm`. */
  matmul(
    a: Value,
    b: Value,
    { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number },
    c?: Value,
  ): Value {
    return this.node('Gemm', c ? [a, b, c] : [a, b], {
      ...(transA ? { transA: int(1) } : {}),
      ...(transB ? { transB: int(1) } : {}),
      ...(alpha !== 1 ? { alpha: float(alpha) } : {}),
    });
  }

  /** a + b, element by element. The backends of the blocks take equal shapes. */
  add(a: Value, b: Value): Value {
    return this.node('Add', [a, b]);
  }

  /** a * b, element by element. The backends of the blocks take equal shapes. */
  mul(a: Value, b: Value): Value {
    return this.node('Mul', [a, b]);
  }

  /** (x - mean) / sqrt(var + eps) * weight + bias over the last axis; statistics in f32. */
  layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
    return this.node('LayerNormalization', [x, weight, bias], { axis: int(-1), epsilon: float(epsilon) });
  }

  /** x / sqrt(mean(x^2) + eps) * weight over the last axis; statistics in f32. */
  rmsNorm(x: Value, weight: Value, epsilon: number): Value {
    return this.node('RMSNormalization', [x, weight], { axis: int(-1), epsilon: float(epsilon) });
  }

  /** GELU: 'tanh' is PyTorch's `gelu_pytorch_tanh`, 'none' the exact form with erf. */
  gelu(x: Value, approximate: 'tanh' | 'none'): Value {
    return this.node('Gelu', [x], { approximate: { kind: 'string', value: approximate } });
  }

  /** silu(gate) * up, SwiGLU's product. */
  siluMul(gate: Value, up: Value): Value {
    return this.mul(this.mul(gate, this.node('Sigmoid', [gate])), up);
  }

  /** x: `[N, Cin, H, W]`, weight: `[Cout, Cin, kernel, kernel]`, no padding: `[N, Cout, h, w]`. */
  conv(x: Value, weight: Value, bias: Value, kernel: number, stride: number): Value {
    return this.node('Conv', [x, weight, bias], {
      kernel_shape: { kind: 'ints', value: [kernel, kernel] },
      strides: { kind: 'ints', value: [stride, stride] },
    });
  }

  /** Values one behind the other along `axis`; their other dimensions are equal. */
  concat(values: readonly Value[], axis: number): Value {
    return this.node('Concat', values, { axis: int(axis) });
  }

  /** 0 keeps a dimension, -1 takes what is left. */
  reshape(x: Value, dims: readonly number[]): Value {
    return this.node('Reshape', [x, this.ints(dims)]);
  }

  /** Dimension i of the result is dimension `permutation[i]` of x. */
  transpose(x: Value, permutation: readonly number[]): Value {
    return this.node('Transpose', [x], { perm: { kind: 'ints', value: permutation } });
  }

  /**
   * The finished graph.
   * @throws Error for a graph without outputs, and for an unused input: an unused GPU input costs much on every run.
   */
  build(): GraphModel {
    if (this.outputs.size === 0) throw new Error(`Graph ${this.name} has no output.`);
    const unused = this.inputs.filter((input) => !this.used.has(input.name));
    if (unused.length > 0) {
      throw new Error(`Graph ${this.name} does not use its input ${unused.map((v) => v.name).join(', ')}.`);
    }
    const rename = (id: string) => this.outputs.get(id)?.name ?? id;
    return {
      name: this.name,
      nodes: this.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      })),
      inputs: this.inputs,
      outputs: [...this.outputs.values()],
      constants: this.constants,
      ...(this.halves.size > 0 ? { halves: [...this.halves].map(rename) } : {}),
    };
  }
}

function int(value: number): AttributeValue {
  return { kind: 'int', value };
}

function float(value: number): AttributeValue {
  return { kind: 'float', value };
}
