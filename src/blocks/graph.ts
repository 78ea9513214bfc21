import type { DType } from '../gpu/tensor';

/** Element types of a graph's values. A weight may be of any; what nodes give is f32, or f16 where a graph says so. */
export type ElementType = DType;

/** A dimension: a number, or a name for one that is known only at run time. */
export type Dim = number | string;

export type AttributeValue =
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'ints'; value: readonly number[] };

export interface NodeSpec {
  op: string;
  /** Where the operator is not ONNX's own. */
  domain?: string;
  name: string;
  /** Value names; '' for an optional input left out. */
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, AttributeValue>>;
}

export interface ValueSpec {
  name: string;
  type: ElementType;
  /** Left out where the runtime is to infer it. */
  dims?: readonly Dim[];
}

/**
 * An initialiser of integers: shapes, starts, ends and axes. Weights are inputs; only graphs that are measured against
 * ours have them as initialisers, in bytes (`RawConstant`).
 */
export interface ConstantSpec {
  name: string;
  /** Default int64. */
  type?: 'i32';
  dims: readonly number[];
  values: readonly number[];
}

/** An initialiser in little-endian bytes. */
export interface RawConstant {
  name: string;
  type: 'f32' | 'u8';
  dims: readonly number[];
  bytes: Uint8Array;
}

/** A graph as written by `GraphBuilder`, ready for the `compile` of a runtime. Operators are ONNX's (opset 23). */
export interface GraphModel {
  readonly name: string;
  /** In an order in which they can run. */
  readonly nodes: readonly NodeSpec[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly constants: readonly (ConstantSpec | RawConstant)[];
  /**
   * Values inside the graph that our own kernels store as f16. ONNX Runtime's operators add up in the type of their
   * operands, so in its graphs these are f32.
   */
  readonly halves?: readonly string[];
}

/** An integer attribute of a node; 0 where it has none, as ONNX defaults the ones used here. */
export function intAttribute(node: NodeSpec, name: string): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : 0;
}

/** A float attribute of a node. @throws Error where it has none and there is no default. */
export function floatAttribute(node: NodeSpec, name: string, otherwise?: number): number {
  const attribute = node.attributes[name];
  if (attribute?.kind === 'float') return attribute.value;
  if (otherwise === undefined) throw new Error(`${node.name} has no ${name}.`);
  return otherwise;
}

/** A text attribute of a node. @throws Error where it has none. */
export function textAttribute(node: NodeSpec, name: string): string {
  const attribute = node.attributes[name];
  if (attribute?.kind !== 'string') throw new Error(`${node.name} has no ${name}.`);
  return attribute.value;
}
