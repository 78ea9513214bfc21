import { StorageError } from './errors';
import { type Folder, folderBytes, readText } from './folder';
import { appendLines, readLines } from './json-lines';
import type { Locks } from './locks';
import { sha256 } from './sha256';

/** What a kept model is of. Two that differ in any field are two models. */
export interface KeptSource {
  /** What the user chose: a hub's repository, a folder's address, a folder's name. */
  source: string;
  /** A checksum of its config, its tensors' places and its files' tags (`checkpointRevision`). */
  revision: string;
  /** How its parts are quantised, as a line of text. */
  precision: string;
}

/** `model.json` of a kept model. */
export interface KeptManifest extends KeptSource {
  format: 1;
  name: string;
  /** All tensors are there. */
  complete: boolean;
  /** Milliseconds since 1970. */
  created: number;
  used: number;
  /** SHA-256 of each small file. */
  files?: Record<string, string>;
}

/** A kept model, for the list. */
export interface KeptModel extends KeptManifest {
  id: string;
  /** On disk. */
  bytes: number;
  /** A tab is writing it. */
  inUse: boolean;
}

/** A tensor as it lies in `weights.bin`: its bytes (values or codes, then scales) in parts, one behind the other. */
export interface KeptTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  start: number;
  /** Bytes and SHA-256 of each part. */
  parts: readonly { bytes: number; sha256: string }[];
  /** Relative error (root mean square) of the quantisation. */
  error?: number;
}

const ROOT = 'models';
const MANIFEST = 'model.json';
const WEIGHTS = 'weights.bin';
const TENSORS = 'tensors.jsonl';

/** Models on disk, as they go to the GPU: a folder each, with `model.json`, the small files, tensors and their bytes. */
export class KeptModels {
  constructor(
    private readonly folder: Folder,
    private readonly locks: Locks,
  ) {}

  /** All models, the last used first. Folders without a readable manifest are left out. */
  async list(): Promise<KeptModel[]> {
    const held = await this.locks.held();
    const entries = await this.folder.list(ROOT);
    const models = await Promise.all(
      entries.map(async ({ name: id }): Promise<KeptModel | undefined> => {
        const manifest = await readManifest(this.folder, id);
        const bytes = await folderBytes(this.folder, `${ROOT}/${id}`);
        return manifest && { ...manifest, id, bytes, inUse: held.has(lockName(id)) };
      }),
    );
    return models.filter((model) => model !== undefined).sort((a, b) => b.used - a.used);
  }

  /**
   * Opens a model to read and write it, making it where it lacks. What an interrupted write left at the end is cut off.
   * @throws StorageError `in-use` where another tab has it open.
   */
  async open(source: KeptSource, name: string, now: number): Promise<OpenModel> {
    return this.held(await idOf(source), name, now, () => ({
      format: 1,
      ...source,
      name,
      complete: false,
      created: now,
      used: now,
    }));
  }

  /**
   * Opens a model of the list.
   * @throws StorageError `missing`, or `in-use` where another tab has it open.
   */
  async openById(id: string, now: number): Promise<OpenModel> {
    return this.held(id, 'this model', now, () => {
      throw new StorageError('missing', 'This model is not kept any more. Load it from where it came from.');
    });
  }

  /** @param make gives the manifest of a model that is not there. */
  private async held(id: string, name: string, now: number, make: () => KeptManifest): Promise<OpenModel> {
    const release = await this.locks.take(lockName(id));
    if (!release)
      throw new StorageError('in-use', `Another tab is loading ${name}. Wait for it, or close that tab.`);
    try {
      const path = `${ROOT}/${id}`;
      const before = await readManifest(this.folder, id);
      const manifest: KeptManifest = before ? { ...before, used: now } : make();
      if (!before) await this.folder.remove(path);
      await writeManifest(this.folder, path, manifest);
      const tensors = await readLines<KeptTensor>(this.folder, `${path}/${TENSORS}`);
      // A line that a closing tab left half written must not take the next one with it.
      const text = await readText(this.folder, `${path}/${TENSORS}`);
      if (text && !text.endsWith('\n')) await this.folder.append(`${path}/${TENSORS}`, '\n');
      return new OpenModel(this.folder, id, manifest, tensors, release);
    } catch (cause) {
      release();
      throw cause;
    }
  }

  /** Removes a model. @throws StorageError `in-use` where a tab has it open. */
  async delete(id: string): Promise<void> {
    const release = await this.locks.take(lockName(id));
    if (!release)
      throw new StorageError('in-use', 'A tab is loading this model. It can be deleted after that.');
    try {
      await this.folder.remove(`${ROOT}/${id}`);
    } finally {
      release();
    }
  }
}

/** A model that this tab may write; `close` gives it back. */
export class OpenModel {
  private readonly entries = new Map<string, KeptTensor>();
  private readonly path: string;
  private end = 0;

  constructor(
    private readonly folder: Folder,
    readonly id: string,
    readonly manifest: KeptManifest,
    tensors: readonly KeptTensor[],
    private readonly release: () => void,
  ) {
    this.path = `${ROOT}/${id}`;
    // A later line of the same tensor replaces an earlier one, which was damaged.
    for (const tensor of tensors) {
      this.entries.set(tensor.name, tensor);
      this.end = Math.max(this.end, tensor.start + bytesOf(tensor));
    }
  }

  /** The tensors that are there. */
  get tensors(): ReadonlyMap<string, KeptTensor> {
    return this.entries;
  }

  /**
   * The small files of the checkpoint (config.json, the tokenizer's) that were kept.
   * @throws StorageError `damaged` where one of them is not what was written.
   */
  async files(): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const [name, sum] of Object.entries(this.manifest.files ?? {})) {
      const file = await this.folder.open(`${this.path}/files/${name}`);
      const bytes = file && new Uint8Array(await file.arrayBuffer());
      if (!bytes || (await sha256(bytes)) !== sum)
        throw new StorageError(
          'damaged',
          `${name} of ${this.manifest.name} is not what was kept. Load the model from where it came from.`,
        );
      files.set(name, bytes);
    }
    return files;
  }

  /** Keeps small files, and forgets those of before. */
  async addFiles(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<void> {
    const sums: Record<string, string> = {};
    for (const [name, content] of files) {
      await this.folder.write(`${this.path}/files/${name}`, content);
      sums[name] = await sha256(content);
    }
    this.manifest.files = sums;
    await writeManifest(this.folder, this.path, this.manifest);
  }

  /**
   * Keeps a tensor: first its bytes, then its line, so that a closing tab leaves no tensor without its bytes. One at a
   * time.
   * @throws StorageError `full`; what was kept before stays usable.
   */
  async add(
    tensor: Pick<KeptTensor, 'name' | 'dtype' | 'shape' | 'error'>,
    parts: AsyncIterable<Uint8Array<ArrayBuffer>> | Iterable<Uint8Array<ArrayBuffer>>,
  ): Promise<void> {
    const file = `${this.path}/${WEIGHTS}`;
    // Bytes of an interrupted write lie behind the last whole tensor.
    await this.folder.cut(file, this.end);
    const start = this.end;
    const sums: KeptTensor['parts'][number][] = [];
    for await (const part of parts) {
      sums.push({ bytes: part.byteLength, sha256: await sha256(part) });
      await this.folder.append(file, part);
    }
    const entry: KeptTensor = { ...tensor, start, parts: sums };
    await appendLines(this.folder, `${this.path}/${TENSORS}`, [entry]);
    this.entries.set(tensor.name, entry);
    this.end = start + bytesOf(entry);
  }

  /**
   * The bytes of a tensor, part by part.
   * @throws StorageError `missing`, or `damaged` where they are not what was written; the tensor is forgotten then.
   */
  async *read(name: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const entry = this.entries.get(name);
    const file = entry && (await this.folder.open(`${this.path}/${WEIGHTS}`));
    if (!entry || !file) throw new StorageError('missing', `The tensor ${name} was not kept.`);
    let at = entry.start;
    for (const part of entry.parts) {
      const bytes = new Uint8Array(await file.slice(at, at + part.bytes).arrayBuffer());
      if (bytes.byteLength !== part.bytes || (await sha256(bytes)) !== part.sha256) {
        this.entries.delete(name);
        throw new StorageError('damaged', `The tensor ${name} is not what was written.`);
      }
      yield bytes;
      at += part.bytes;
    }
  }

  /** Says that all tensors are there. */
  async complete(): Promise<void> {
    this.manifest.complete = true;
    await writeManifest(this.folder, this.path, this.manifest);
  }

  /** Removes it; `close` comes after. */
  async discard(): Promise<void> {
    await this.folder.remove(this.path);
    this.entries.clear();
  }

  /** Lets other tabs have it. */
  close(): void {
    this.release();
  }
}

function bytesOf({ parts }: KeptTensor): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

function lockName(id: string): string {
  return `model ${id}`;
}

async function idOf({ source, revision, precision }: KeptSource): Promise<string> {
  const text = JSON.stringify([source, revision, precision]);
  return (await sha256(new TextEncoder().encode(text))).slice(0, 24);
}

async function readManifest(folder: Folder, id: string): Promise<KeptManifest | undefined> {
  const text = await readText(folder, `${ROOT}/${id}/${MANIFEST}`);
  try {
    const manifest = text === undefined ? undefined : (JSON.parse(text) as KeptManifest);
    return manifest?.format === 1 ? manifest : undefined;
  } catch {
    return undefined;
  }
}

async function writeManifest(folder: Folder, path: string, manifest: KeptManifest): Promise<void> {
  await folder.write(`${path}/${MANIFEST}`, `${JSON.stringify(manifest, null, 2)}\n`);
}
