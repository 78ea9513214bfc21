import { crc32, deflateRawSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { fileStem } from '../../src/app/shared/download';
import { unzip } from '../../src/app/shared/unzip';
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

it('an archive gives its files back, deflated ones and those in a folder too', async () => {
  const blob = new Blob([new Uint8Array(5000).map((_, i) => i * 7)]);
  const files = await unzip(
    await zip([
      { name: 'run/adapter_config.json', blob: new Blob(['{}']) },
      { name: 'a.bin', blob },
    ]),
  );
  expect(files.map(({ name }) => name)).toEqual(['adapter_config.json', 'a.bin']);
  expect(await files[0]!.text()).toBe('{}');
  expect(await files[1]!.arrayBuffer()).toEqual(await blob.arrayBuffer());

  // As other programs write them: deflated, and with a comment at the end.
  const text = 'deflated '.repeat(100);
  const packed = deflateRawSync(text);
  const name = Buffer.from('folder/b.txt');
  const [local, entry, end] = [Buffer.alloc(30), Buffer.alloc(46), Buffer.alloc(22)];
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt16LE(name.length, 28);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  end.writeUInt16LE(2, 20);
  const archive = [local, name, packed, entry, name, end, Buffer.from('hi')];
  const [file] = await unzip(new Blob(archive.map((part) => new Uint8Array(part))));
  expect([file!.name, await file!.text()]).toEqual(['b.txt', text]);
  entry.writeUInt16LE(1, 8);
  const encrypted = new Blob(archive.map((part) => new Uint8Array(part)));
  await expect(unzip(encrypted)).rejects.toThrow('folder/b.txt is packed in a way');
  await expect(unzip(new Blob(['no archive of any kind']))).rejects.toThrow('no ZIP archive');
});

it('a run’s name begins its files’ names', () => {
  expect(fileStem('Run 7', 'run')).toBe('run-7');
  expect(fileStem(' ../β = 0: "größer"? ', 'run')).toBe('β-0-größer');
  expect(fileStem(`${'a'.repeat(39)} b`, 'run')).toBe('a'.repeat(39));
  expect(fileStem('<>/\\', 'run')).toBe('run');
});
