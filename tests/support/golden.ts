import { memorySource } from '../../src/weights/byte-source';
import { type FileStore, readText, urlStore } from '../../src/weights/file-store';
import { readSafetensors, type TensorData } from '../../src/weights/tensor-data';

// Kept out of `new URL(..., import.meta.url)`, which the bundler would rewrite.
const here = import.meta.url;
const inNode = typeof process !== 'undefined' && !!process.versions?.node;

function goldenUrl(name: string): URL {
  return new URL(`../golden/${name}`, here);
}

/** Bytes of a file under tests/golden/, in Node and in the browser. */
export async function goldenBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
  if (inNode) {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(goldenUrl(name)));
  }
  const response = await fetch(goldenUrl(name));
  if (!response.ok || response.headers.get('content-type')?.startsWith('text/html')) {
    throw new Error(`There is no tests/golden/${name}.`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

/** A safetensors file under tests/golden/, e.g. `vision.safetensors`. */
export async function loadGolden(name: string): Promise<Map<string, TensorData>> {
  return readSafetensors(memorySource(name, await goldenBytes(name)));
}

/** A JSON file under tests/golden/. */
export async function goldenJson<T>(name: string): Promise<T> {
  return JSON.parse(await readText(memorySource(name, await goldenBytes(name)))) as T;
}

/** The f32 data of a tensor; throws where it is missing or of another type. */
export function f32(tensors: ReadonlyMap<string, TensorData>, name: string): Float32Array<ArrayBuffer> {
  const tensor = tensors.get(name);
  if (!(tensor?.data instanceof Float32Array)) throw new Error(`No float tensor ${name} in the golden file.`);
  return tensor.data;
}

/** The i32 data of a tensor; throws where it is missing or of another type. */
export function i32(tensors: ReadonlyMap<string, TensorData>, name: string): Int32Array<ArrayBuffer> {
  const tensor = tensors.get(name);
  if (!(tensor?.data instanceof Int32Array)) throw new Error(`No I32 tensor ${name} in the golden file.`);
  return tensor.data;
}

/** The u8 data of a tensor; throws where it is missing or of another type. */
export function u8(tensors: ReadonlyMap<string, TensorData>, name: string): Uint8Array<ArrayBuffer> {
  const tensor = tensors.get(name);
  if (!(tensor?.data instanceof Uint8Array)) throw new Error(`No U8 tensor ${name} in the golden file.`);
  return tensor.data;
}

/** A folder under tests/golden/ as a checkpoint folder: `checkpoint`, `checkpoint/sharded`, `` for all of it. */
export async function goldenStore(folder = 'checkpoint'): Promise<FileStore> {
  if (!inNode) return urlStore(goldenUrl(folder).href);
  const { directoryStore } = await import('../../src/cli/directory-store');
  const { fileURLToPath } = await import('node:url');
  return directoryStore(fileURLToPath(goldenUrl(folder)));
}
