import {
  type CheckpointFiles,
  checkpointSteps,
  dropCheckpointsAfter,
  lastCheckpoint,
  pruneCheckpoints,
  readCheckpoint,
  type SavedCheckpoint,
  writeCheckpoint,
} from './checkpoints';
import { StorageError } from './errors';
import { type FileContent, type Folder, folderBytes, readText } from './folder';
import { appendLines, cutLines, readLastLines, readLines } from './json-lines';
import type { Locks } from './locks';
import type { RunChanges } from './run-changes';

/** What the store itself needs to know of a run; its users add to it. Kept as `run.json`. */
export interface RunHeader {
  run: string;
  name: string;
  /** Milliseconds since 1970. */
  created: number;
}

/** The files of a run that grow by lines, each an object with its `step`. */
export type RunLog = 'log' | 'evals' | 'events' | 'completions';

const ROOT = 'runs';
const LOGS: readonly RunLog[] = ['log', 'evals', 'events', 'completions'];

/**
 * Runs on disk, a folder each: `run.json` (the header), `log.jsonl`, `evals.jsonl`, `events.jsonl`,
 * `completions.jsonl`, `checkpoints/<step>/` and `data/`. A run that goes on is held by a lock, so that a second tab
 * cannot write to it.
 */
export class RunStore<H extends RunHeader> {
  constructor(
    private readonly folder: Folder,
    private readonly locks: Locks,
    /** Hears of every header and step that is written, and of runs that are given back or deleted. */
    private readonly changes?: RunChanges,
  ) {}

  /** All runs, the newest first; folders without a readable header are left out. */
  async list(): Promise<H[]> {
    const entries = await this.folder.list(ROOT);
    const headers = await Promise.all(entries.map(({ name }) => this.header(name)));
    return headers.filter((header) => header !== undefined).sort((a, b) => b.created - a.created);
  }

  /** The header of a run; undefined where there is none. */
  async header(run: string): Promise<H | undefined> {
    const text = await readText(this.folder, `${ROOT}/${run}/run.json`);
    try {
      return text === undefined ? undefined : (JSON.parse(text, giveInfinity) as H);
    } catch {
      return undefined;
    }
  }

  /** Runs that are held, here or in another tab. */
  async held(): Promise<Set<string>> {
    const names = [...(await this.locks.held())];
    return new Set(names.filter((name) => name.startsWith('run ')).map((name) => name.slice(4)));
  }

  /** Bytes of a run on disk. */
  bytes(run: string): Promise<number> {
    return folderBytes(this.folder, `${ROOT}/${run}`);
  }

  /** Lines of a run's file. */
  lines<T>(run: string, log: RunLog): Promise<T[]> {
    return readLines<T>(this.folder, `${ROOT}/${run}/${log}.jsonl`);
  }

  /** The last few of them. */
  lastLines<T>(run: string, log: RunLog): Promise<T[]> {
    return readLastLines<T>(this.folder, `${ROOT}/${run}/${log}.jsonl`);
  }

  /** Steps with a checkpoint, ascending. */
  checkpoints(run: string): Promise<number[]> {
    return checkpointSteps(this.folder, `${ROOT}/${run}/checkpoints`);
  }

  /**
   * A run's checkpoint: of a step, or the last whole one; undefined where there is none.
   * @throws StorageError `missing` or `damaged` for a given step.
   */
  checkpoint(run: string, step?: number): Promise<SavedCheckpoint | undefined> {
    const path = `${ROOT}/${run}/checkpoints`;
    return step === undefined ? lastCheckpoint(this.folder, path) : readCheckpoint(this.folder, path, step);
  }

  /** A file of the run's data. */
  data(run: string, name: string): Promise<Blob | undefined> {
    return this.folder.open(`${ROOT}/${run}/data/${name}`);
  }

  /** Makes a run, held by this tab. */
  async create(header: H): Promise<OpenRun<H>> {
    const release = await this.take(header.run, header.name);
    const open = new OpenRun(this.folder, `${ROOT}/${header.run}`, header, release, this.changes);
    try {
      await open.update({});
    } catch (cause) {
      await this.folder.remove(`${ROOT}/${header.run}`).catch(() => undefined);
      await open.close();
      throw cause;
    }
    return open;
  }

  /** Takes a run to go on with. @throws StorageError `missing`, or `in-use` where another tab has it. */
  async open(run: string): Promise<OpenRun<H>> {
    const before = await this.header(run);
    if (!before) throw new StorageError('missing', 'There is no such run on this device.');
    const release = await this.take(run, before.name);
    const header = (await this.header(run)) ?? before;
    return new OpenRun(this.folder, `${ROOT}/${run}`, header, release, this.changes);
  }

  /** Gives a run another name. @throws as `open`. */
  async rename(run: string, name: string): Promise<void> {
    const open = await this.open(run);
    try {
      await open.update({ name } as Partial<H>);
    } finally {
      await open.close();
    }
  }

  /** Deletes a run with all that belongs to it. @throws as `open`. */
  async remove(run: string): Promise<void> {
    const open = await this.open(run);
    try {
      await this.folder.remove(`${ROOT}/${run}`);
    } finally {
      await open.close();
    }
  }

  private async take(run: string, name: string): Promise<() => void> {
    const release = await this.locks.take(`run ${run}`);
    if (!release)
      throw new StorageError(
        'in-use',
        `${name} is open in another tab, which writes to it. Pause it there, or close that tab.`,
      );
    return release;
  }
}

/** A run that this tab holds and writes to. Writes follow each other in the order of the calls. */
export class OpenRun<H extends RunHeader> {
  private tail: Promise<unknown> = Promise.resolve();
  private closed = false;

  /** @param path of the run's folder. @param release gives the run's lock back. */
  constructor(
    private readonly folder: Folder,
    private readonly path: string,
    /** As it was written last. */
    public header: H,
    private readonly release: () => void,
    private readonly changes?: RunChanges,
  ) {}

  /** Gives the run back. What is being written is finished; later writes fail. */
  async close(): Promise<void> {
    this.closed = true;
    await this.tail;
    this.release();
    this.changes?.tell();
  }

  /** Changes the header. */
  update(change: Partial<H>): Promise<void> {
    this.header = { ...this.header, ...change };
    const text = `${JSON.stringify(this.header, keepInfinity, 2)}\n`;
    return this.next(async () => {
      await this.folder.write(`${this.path}/run.json`, text);
      this.changes?.tell();
    });
  }

  /** Adds lines. */
  append(log: RunLog, objects: readonly { step: number }[]): Promise<void> {
    return this.next(async () => {
      await appendLines(this.folder, this.file(log), objects);
      if (log === 'log') this.changes?.tell();
    });
  }

  /** Writes a file of the run's data. */
  writeData(name: string, content: FileContent): Promise<void> {
    return this.next(() => this.folder.write(`${this.path}/data/${name}`, content));
  }

  /** Saves a step, then lets older checkpoints go: the last three and every 50th step stay. */
  saveCheckpoint(step: number, files: CheckpointFiles, state: Record<string, unknown>): Promise<void> {
    return this.next(async () => {
      const path = `${this.path}/checkpoints`;
      await writeCheckpoint(this.folder, path, { step, files, state });
      await pruneCheckpoints(this.folder, path);
    });
  }

  /** Goes back to a step: what was written of later ones is removed. Events stay: they happened. */
  cutAfter(step: number): Promise<void> {
    return this.next(async () => {
      for (const log of LOGS)
        await cutLines(this.folder, this.file(log), log === 'events' ? Number.POSITIVE_INFINITY : step);
      await dropCheckpointsAfter(this.folder, `${this.path}/checkpoints`, step);
    });
  }

  private file(log: RunLog): string {
    return `${this.path}/${log}.jsonl`;
  }

  private next(write: () => Promise<void>): Promise<void> {
    if (this.closed) return Promise.reject(new Error(`${this.header.name} is no longer open.`));
    const done = this.tail.then(write);
    this.tail = done.catch(() => undefined);
    return done;
  }
}

// JSON has no infinity, and configurations do.
function keepInfinity(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? { number: 'Infinity' } : value;
}

function giveInfinity(_key: string, value: unknown): unknown {
  const isInfinity =
    typeof value === 'object' && value !== null && 'number' in value && value.number === 'Infinity';
  return isInfinity ? Number.POSITIVE_INFINITY : value;
}
