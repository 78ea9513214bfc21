import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { zip } from '../../src/app/shared/zip';

it('an archive holds files with their folders, names and checksums', async () => {
  const files = [
    { name: 'train.py', blob: new Blob(['print()\n']) },
    { name: 'clips/küche.mp4', blob: new Blob([new Uint8Array(100_000).map((_, i) => i * 7)]) },
    { name: 'empty', blob: new Blob([]) },
  ];
  const archive = await zip(files);
  expect(archive.type).toBe('application/zip');
  const bytes = Buffer.from(await archive.arrayBuffer());
  const end = bytes.length - 22;
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
  expect(bytes.readUInt16LE(end + 10)).toBe(files.length);
  let at = bytes.readUInt32LE(end + 16);
  expect(at + bytes.readUInt32LE(end + 12)).toBe(end);
  for (const { name, blob } of files) {
    const content = Buffer.from(await blob.arrayBuffer());
    expect(bytes.readUInt32LE(at)).toBe(0x02014b50);
    const [nameLength, extraLength] = [bytes.readUInt16LE(at + 28), bytes.readUInt16LE(at + 30)];
    expect(bytes.toString('utf8', at + 46, at + 46 + nameLength)).toBe(name);
    expect(bytes.readUInt32LE(at + 16)).toBe(crc32(content));
    expect(bytes.readUInt32LE(at + 24)).toBe(content.length);
    const local = bytes.readUInt32LE(at + 42);
    expect(bytes.readUInt32LE(local)).toBe(0x04034b50);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    expect(bytes.subarray(start, start + content.length).equals(content)).toBe(true);
    at += 46 + nameLength + extraLength;
  }
  expect(at).toBe(end);
});
