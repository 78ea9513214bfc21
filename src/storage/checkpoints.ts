import { StorageError } from './errors';
import { type Folder, readText } from './folder';
import { sha256 } from './sha256';

/** A checkpoint's files by name. */
export type CheckpointFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** A checkpoint as it was written. */
export interface SavedCheckpoint {
  step: number;
  files: Map<string, Uint8Array<ArrayBuffer>>;
  /** Whatever else belongs to it. */
  state: Record<string, unknown>;
}

/** Written last: a checkpoint without it was not written to its end. */
const MARKER = 'state.json';
/** Of older checkpoints, those of these steps are kept. */
const KEEP_EVERY = 50;
const KEEP_LAST = 3;

interface Marker {
  step: number;
  files: Record<string, { bytes: number; sha256: string }>;
  state: Record<string, unknown>;
}

/** Writes the checkpoint of a step: its files, then `state.json` with their sizes and checksums. */
export async function writeCheckpoint(
  folder: Folder,
  path: string,
  { step, files, state }: { step: number; files: CheckpointFiles; state: Record<string, unknown> },
): Promise<void> {
  const place = `${path}/${step}`;
  await folder.remove(`${place}/${MARKER}`);
  const marker: Marker = { step, files: {}, state };
  for (const [name, bytes] of files) {
    await folder.write(`${place}/${name}`, bytes);
    marker.files[name] = { bytes: bytes.length, sha256: await sha256(bytes) };
  }
  await folder.write(`${place}/${MARKER}`, `${JSON.stringify(marker, null, 2)}\n`);
}

/** Steps that have a checkpoint, ascending; those not written to the end are left out. */
export async function checkpointSteps(folder: Folder, path: string): Promise<number[]> {
  const steps: number[] = [];
  for (const { name, kind } of await folder.list(path)) {
    if (kind !== 'folder' || !/^\d+$/.test(name)) continue;
    const files = await folder.list(`${path}/${name}`);
    if (files.some((file) => file.name === MARKER)) steps.push(Number(name));
  }
  return steps.sort((a, b) => a - b);
}

/** Reads a checkpoint. @throws StorageError `missing`, or `damaged` where a file is not what was written. */
export async function readCheckpoint(folder: Folder, path: string, step: number): Promise<SavedCheckpoint> {
  const place = `${path}/${step}`;
  const text = await readText(folder, `${place}/${MARKER}`);
  if (text === undefined) throw new StorageError('missing', `There is no checkpoint of step ${step}.`);
  const damaged = (what: string) =>
    new StorageError('damaged', `The checkpoint of step ${step} is damaged: ${what}.`);
  let marker: Marker;
  try {
    marker = JSON.parse(text) as Marker;
  } catch {
    throw damaged(`${MARKER} is no JSON`);
  }
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, { bytes: size, sha256: sum }] of Object.entries(marker.files)) {
    const blob = await folder.open(`${place}/${name}`);
    if (!blob) throw damaged(`${name} is missing`);
    const bytes = new Uint8Array(await blob.arrayBuffer());
    if (bytes.length !== size || (await sha256(bytes)) !== sum)
      throw damaged(`${name} is not what was written`);
    files.set(name, bytes);
  }
  return { step: marker.step, files, state: marker.state };
}

/** The last checkpoint of a step up to `atMost` that is whole; undefined where there is none. */
export async function lastCheckpoint(
  folder: Folder,
  path: string,
  atMost = Number.POSITIVE_INFINITY,
): Promise<SavedCheckpoint | undefined> {
  const steps = (await checkpointSteps(folder, path)).filter((step) => step <= atMost);
  for (const step of steps.reverse()) {
    try {
      return await readCheckpoint(folder, path, step);
    } catch (cause) {
      if (!(cause instanceof StorageError)) throw cause;
      // The one before it is as good, only older.
    }
  }
  return undefined;
}

/** Removes older checkpoints but for every 50th step's, and whatever was not written to its end. */
export async function pruneCheckpoints(folder: Folder, path: string): Promise<void> {
  const steps = await checkpointSteps(folder, path);
  const kept = new Set(
    steps
      .filter((step, i) => i >= steps.length - KEEP_LAST || (step > 0 && step % KEEP_EVERY === 0))
      .map(String),
  );
  for (const { name } of await folder.list(path)) if (!kept.has(name)) await folder.remove(`${path}/${name}`);
}

/** Removes checkpoints of later steps. */
export async function dropCheckpointsAfter(folder: Folder, path: string, step: number): Promise<void> {
  for (const { name } of await folder.list(path))
    if (Number(name) > step) await folder.remove(`${path}/${name}`);
}
