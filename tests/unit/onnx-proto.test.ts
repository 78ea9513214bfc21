import { describe, expect, it } from 'vitest';
import { encodeModel } from '../../src/blocks/ort/onnx-proto';
import { ProtoWriter } from '../../src/blocks/ort/protobuf';

type Field = { field: number; value: bigint | number | Uint8Array };

/** A reader of the wire format, written apart from the writer. */
function decode(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const field = tag >> 3;
    if ((tag & 7) === 0) fields.push({ field, value: varint() });
    else if ((tag & 7) === 5) {
      fields.push({ field, value: view.getFloat32(at, true) });
      at += 4;
    } else if ((tag & 7) === 2) {
      const length = Number(varint());
      fields.push({ field, value: bytes.subarray(at, at + length) });
      at += length;
    } else throw new Error(`wire type ${tag & 7}`);
  }
  return fields;
}

const all = (fields: Field[], field: number) => fields.filter((f) => f.field === field).map((f) => f.value);
const nested = (fields: Field[], field: number) => all(fields, field).map((v) => decode(v as Uint8Array));
const text = (value: Field['value'] | undefined) => new TextDecoder().decode(value as Uint8Array);

describe('ProtoWriter', () => {
  it('writes the bytes of the format’s own examples', () => {
    expect([...new ProtoWriter().int(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
    expect([...new ProtoWriter().string(2, 'testing').finish()]).toEqual([
      0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
    ]);
    expect([...new ProtoWriter().packedInts(6, [3, 270, 86942]).finish()]).toEqual([
      0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05,
    ]);
  });

  it('writes negative numbers in ten bytes and floats little-endian', () => {
    expect([...new ProtoWriter().int(3, -1).finish()]).toEqual([0x18, ...new Array(9).fill(0xff), 0x01]);
    expect([...new ProtoWriter().float(2, 1).finish()]).toEqual([0x15, 0, 0, 0x80, 0x3f]);
  });

  it('writes field numbers above 15 in two bytes', () => {
    expect([...new ProtoWriter().int(20, 7).finish()]).toEqual([0xa0, 0x01, 0x07]);
  });
});

describe('encodeModel', () => {
  it('keeps nodes, attributes, shapes and constants', () => {
    const bytes = encodeModel({
      name: 'tiny',
      nodes: [
        {
          op: 'Gemm',
          name: 'n',
          inputs: ['a', '', 'b'],
          outputs: ['y'],
          attributes: {
            transB: { kind: 'int', value: 1 },
            alpha: { kind: 'float', value: 0.5 },
            mode: { kind: 'string', value: 'tanh' },
            strides: { kind: 'ints', value: [14, -1] },
          },
        },
      ],
      inputs: [{ name: 'a', type: 'f32', dims: ['rows', 300] }],
      outputs: [{ name: 'y', type: 'f32' }],
      constants: [{ name: 'shape', dims: [2], values: [0, -1] }],
    });
    const file = decode(bytes);
    expect(all(file, 1)).toEqual([10n]);
    expect(nested(file, 8).map((o) => [text(all(o, 1)[0]), all(o, 2)[0]])).toEqual([['', 23n]]);
    const graph = nested(file, 7)[0]!;
    const node = nested(graph, 1)[0]!;
    expect(all(node, 1).map(text)).toEqual(['a', '', 'b']);
    expect(all(node, 2).map(text)).toEqual(['y']);
    expect(all(node, 4).map(text)).toEqual(['Gemm']);
    const attributes = nested(node, 5).map((a) => [
      text(all(a, 1)[0]),
      all(a, 20)[0],
      a[1]!.field,
      a[1]!.value,
    ]);
    expect(attributes.slice(0, 2)).toEqual([
      ['transB', 2n, 3, 1n],
      ['alpha', 1n, 2, 0.5],
    ]);
    expect(attributes[2]!.slice(0, 3)).toEqual(['mode', 3n, 4]);
    expect(attributes[3]!.slice(0, 3)).toEqual(['strides', 7n, 8]);
    expect([...(attributes[3]![3] as Uint8Array)]).toEqual([14, ...new Array(9).fill(0xff), 1]);
    const tensor = nested(nested(nested(graph, 11)[0]!, 2)[0]!, 1)[0]!;
    expect(all(tensor, 1)).toEqual([1n]);
    const dims = nested(nested(tensor, 2)[0]!, 1);
    expect(text(all(dims[0]!, 2)[0])).toBe('rows');
    expect(all(dims[1]!, 1)).toEqual([300n]);
    const constant = nested(graph, 5)[0]!;
    expect(all(constant, 2)).toEqual([7n]);
    expect([...(all(constant, 7)[0] as Uint8Array)]).toEqual([0, ...new Array(9).fill(0xff), 1]);
  });
});
