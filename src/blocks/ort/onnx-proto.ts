import { isQuantised, type QuantisedDType } from '../../gpu/tensor';
import type {
  AttributeValue,
  ConstantSpec,
  ElementType,
  GraphModel,
  NodeSpec,
  RawConstant,
  ValueSpec,
} from '../graph';
import { MICROSOFT_DOMAIN } from './packed-weights';
import { ProtoWriter } from './protobuf';

// Messages and field numbers of onnx/onnx.proto (ONNX 1.18), as far as our graphs use them.

/** Element types by their number in `TensorProto.DataType`. */
const ONNX_TYPE: Record<Exclude<ElementType, QuantisedDType>, number> = {
  f32: 1,
  u8: 2,
  i32: 6,
  f16: 10,
  u32: 12,
};
const INT64 = 7;

/** RMSNormalization came with 23, Gelu with 20. */
const OPERATOR_SET = 23;

const MICROSOFT_SET = 1;

/** Version of the file format: 10 goes with operator set 21 and later. */
const IR_VERSION = 10;

/** A ModelProto in protobuf encoding, as `InferenceSession.create` takes it. */
export function encodeModel(model: GraphModel): Uint8Array {
  const graph = new ProtoWriter();
  for (const node of model.nodes) graph.message(1, encodeNode(node));
  graph.string(2, model.name);
  for (const constant of model.constants) graph.message(5, encodeConstant(constant));
  for (const input of model.inputs) graph.message(11, encodeValue(input));
  for (const output of model.outputs) graph.message(12, encodeValue(output));
  const file = new ProtoWriter()
    .int(1, IR_VERSION)
    .string(2, 'tinyllava-video-r1-playground')
    .message(7, graph)
    .message(8, new ProtoWriter().string(1, '').int(2, OPERATOR_SET));
  if (model.nodes.some(({ domain }) => domain === MICROSOFT_DOMAIN))
    file.message(8, new ProtoWriter().string(1, MICROSOFT_DOMAIN).int(2, MICROSOFT_SET));
  return file.finish();
}

function encodeNode(node: NodeSpec): ProtoWriter {
  const out = new ProtoWriter();
  for (const input of node.inputs) out.string(1, input);
  for (const output of node.outputs) out.string(2, output);
  out.string(3, node.name).string(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    out.message(5, encodeAttribute(name, attribute));
  }
  if (node.domain) out.string(7, node.domain);
  return out;
}

function encodeAttribute(name: string, attribute: AttributeValue): ProtoWriter {
  const out = new ProtoWriter().string(1, name);
  switch (attribute.kind) {
    case 'float':
      return out.float(2, attribute.value).int(20, 1);
    case 'int':
      return out.int(3, attribute.value).int(20, 2);
    case 'string':
      return out.string(4, attribute.value).int(20, 3);
    case 'ints':
      return out.packedInts(8, attribute.value).int(20, 7);
  }
}

function encodeConstant(constant: ConstantSpec | RawConstant): ProtoWriter {
  const out = new ProtoWriter().packedInts(1, constant.dims);
  if ('bytes' in constant) {
    const { type, name, bytes } = constant;
    return out.int(2, ONNX_TYPE[type]).string(8, name).bytes(9, bytes);
  }
  if (constant.type === 'i32') out.int(2, ONNX_TYPE.i32).packedInts(5, constant.values);
  else out.int(2, INT64).packedInts(7, constant.values);
  return out.string(8, constant.name);
}

function encodeValue(value: ValueSpec): ProtoWriter {
  if (isQuantised(value.type))
    throw new Error(`${value.name} is ${value.type}, which is no type of ONNX: see \`forOrt\`.`);
  const tensor = new ProtoWriter().int(1, ONNX_TYPE[value.type]);
  if (value.dims) {
    const shape = new ProtoWriter();
    for (const dim of value.dims) {
      const encoded = new ProtoWriter();
      if (typeof dim === 'number') encoded.int(1, dim);
      else encoded.string(2, dim);
      shape.message(1, encoded);
    }
    tensor.message(2, shape);
  }
  return new ProtoWriter().string(1, value.name).message(2, new ProtoWriter().message(1, tensor));
}
