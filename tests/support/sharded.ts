import { type HubFile, storedFile } from '../../src/cli/synthetic-hub/repository';
import { widenToF32 } from '../../src/weights/widen';

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };

/** Name of one of `count` shards, numbered from 1. */
export function shardName(number: number, count: number): string {
  return `model-${String(number).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;
}

/**
 * A safetensors file of f16 as shards and their index: one for each of the tensors `alone`, and as the last one all
 * others in f32, which has the same values.
 */
export function sharded(file: Buffer<ArrayBuffer>, alone: readonly string[]): [string, HubFile][] {
  const length = Number(file.readBigUInt64LE(0));
  const { __metadata__: _, ...header } = JSON.parse(file.toString('utf8', 8, 8 + length));
  const entries = Object.entries(header as Record<string, Entry>);
  const count = alone.length + 1;
  const weight_map: Record<string, string> = {};
  const shards = Array.from({ length: count }, (_, i): [string, HubFile] => {
    const name = shardName(i + 1, count);
    const own = entries.filter(([tensor]) =>
      i < alone.length ? tensor === alone[i] : !alone.includes(tensor),
    );
    const parts: Uint8Array[] = [];
    const entriesOfShard: Record<string, Entry> = {};
    let at = 0;
    for (const [tensor, { dtype, shape, data_offsets }] of own) {
      weight_map[tensor] = name;
      const stored = file.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
      const part = i < alone.length ? stored : Buffer.from(widenToF32(stored, 'F16').buffer);
      entriesOfShard[tensor] = {
        dtype: i < alone.length ? dtype : 'F32',
        shape,
        data_offsets: [at, at + part.byteLength],
      };
      at += part.byteLength;
      parts.push(part);
    }
    const json = Buffer.from(JSON.stringify(entriesOfShard));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(json.length));
    return [name, storedFile(Buffer.concat([size, json, ...parts]))];
  });
  return [...shards, ['model.safetensors.index.json', storedFile(JSON.stringify({ weight_map }))]];
}
