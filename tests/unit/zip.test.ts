import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { zip } from '../../src/app/shared/zip';

it('an archive holds files with their folders, names and checksums', async () => {
  const files = [
    { name: 'train.py', blob: new Blob(['print()\n']) },
    { name: 'clips/küche.mp4', blob: new Blob([new Uint8Array(100_000).map((_, i) => i * 7)]) },
    { name: 'empty', blob: new Blob([]) },
  ];
  const bytes = Buffer.from(await (await zip(files)).arrayBuffer());
  const end = bytes.length - 22;
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
  expect(bytes.readUInt16LE(end + 10)).toBe(files.length);
  let at = bytes.readUInt32LE(end + 16);
  expect(at + bytes.readUInt32LE(end + 12)).toBe(end);
  for (const { name, blob } of files) {
    const content = Buffer.from(await blob.arrayBuffer());
    expect(bytes.readUInt32LE(at)).toBe(0x02014b50);
    const nameLength = bytes.readUInt16LE(at + 28);
    expect(bytes.toString('utf8', at + 46, at + 46 + nameLength)).toBe(name);
    const local = bytes.readUInt32LE(at + 42);
    expect(bytes.readUInt32LE(local)).toBe(0x04034b50);
    for (const [central, here] of [
      [at + 16, local + 14],
      [at + 20, local + 18],
      [at + 24, local + 22],
    ] as const)
      expect(bytes.readUInt32LE(here)).toBe(bytes.readUInt32LE(central));
    expect(bytes.readUInt32LE(at + 16)).toBe(crc32(content));
    expect(bytes.readUInt32LE(at + 24)).toBe(content.length);
    const start = local + 30 + nameLength;
    expect(bytes.subarray(start, start + content.length).equals(content)).toBe(true);
    at += 46 + nameLength;
  }
  expect(at).toBe(end);
});
