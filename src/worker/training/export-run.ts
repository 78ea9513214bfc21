import { type FileQuestion, parseQuestionFile } from '../../data/question-file';
import { StorageError } from '../../storage/errors';
import type { RunStore } from '../../storage/run-store';
import type { AdapterFiles } from '../adapter-shelf';
import type { CompletionRow, EvalLine, RunExport, StepLine } from '../training-protocol';
import { metricsCsv } from './metrics-csv';
import { dataFiles } from './run-data';
import type { StoredRun } from './stored-run';
import { toyRows } from './toy-clips';
import { trlFiles } from './trl-export';

/** Questions of the toy world that the script for TRL comes with. */
const TOY_ROWS = 32;

/** A file for the user. */
export interface ExportedFile {
  name: string;
  blob: Blob;
}

/** The adapter of a run's last checkpoint. @throws StorageError `missing` where there is none yet. */
export async function runAdapter(
  store: RunStore<StoredRun>,
  run: string,
): Promise<{ header: StoredRun; step: number; files: AdapterFiles }> {
  const header = await store.header(run);
  if (!header) throw new StorageError('missing', 'There is no such run on this device.');
  const checkpoint = await store.checkpoint(run);
  const config = checkpoint?.files.get('adapter_config.json');
  const weights = checkpoint?.files.get('adapter_model.safetensors');
  if (!checkpoint || !config || !weights)
    throw new StorageError(
      'missing',
      `${header.name} has no checkpoint yet. Save it first: that takes until the step under way has ended.`,
    );
  const files = { 'adapter_config.json': config, 'adapter_model.safetensors': weights };
  return { header, step: checkpoint.step, files };
}

/**
 * Files of a run for the user.
 * @throws StorageError `missing` where there is no such run, or nothing of that kind in it.
 */
export async function exportRun(
  store: RunStore<StoredRun>,
  run: string,
  what: RunExport,
): Promise<ExportedFile[]> {
  switch (what) {
    case 'adapter':
      return peftFiles((await runAdapter(store, run)).files);
    case 'metrics-jsonl': {
      const { lines, evals } = await metrics(store, run);
      return [{ name: 'metrics.jsonl', blob: jsonLines([...lines, ...evals.map(evalKeys)]) }];
    }
    case 'metrics-csv': {
      const { lines, evals } = await metrics(store, run);
      const csv = metricsCsv([...lines, ...evals.map(evalKeys)]);
      return [{ name: 'metrics.csv', blob: new Blob([csv], { type: 'text/csv' }) }];
    }
    case 'completions-jsonl': {
      const rows = await store.lines<CompletionRow>(run, 'completions');
      return [{ name: 'completions.jsonl', blob: jsonLines(rows.map(trlColumns)) }];
    }
    case 'questions': {
      const files = await dataFiles(store, run);
      if (files.length === 0)
        throw new StorageError('missing', 'This run has no questions of its own: the toy world makes them.');
      return files;
    }
    case 'trl': {
      const { header, step, files } = await runAdapter(store, run);
      if (header.config.stage === 'cold-start')
        throw new StorageError(
          'missing',
          `The script for TRL goes on with GRPO, and ${header.name} is a cold start. Export its adapter instead.`,
        );
      const { questions, clips } = await trlData(store, header, step);
      return [
        ...trlFiles(header, step, questions).map(({ name, text }) => ({ name, blob: new Blob([text]) })),
        ...peftFiles(files).map(({ name, blob }) => ({ name: `adapter/${name}`, blob })),
        ...clips,
      ];
    }
  }
}

/** The data set of the script: the run's own questions, or the next ones of the toy world with their clips. */
async function trlData(
  store: RunStore<StoredRun>,
  { run, config, data }: StoredRun,
  step: number,
): Promise<{ questions: Omit<FileQuestion, 'line'>[]; clips: ExportedFile[] }> {
  if (data.kind === 'toy') {
    const { seed, questions_per_step } = config.grpo;
    const rows = await toyRows(seed, step * questions_per_step, TOY_ROWS);
    const clips = rows.map(({ video_filename, clip }) => ({ name: video_filename.slice(2), blob: clip }));
    return { questions: rows, clips };
  }
  const [questions, ...clips] = await dataFiles(store, run);
  return { questions: parseQuestionFile((await questions?.blob.text()) ?? '').questions, clips };
}

async function metrics(
  store: RunStore<StoredRun>,
  run: string,
): Promise<{ lines: StepLine[]; evals: EvalLine[] }> {
  return {
    lines: await store.lines<StepLine>(run, 'log'),
    evals: await store.lines<EvalLine>(run, 'evals'),
  };
}

/** A check's numbers with TRL's prefix. */
function evalKeys({ step, ...numbers }: EvalLine): StepLine {
  const named = Object.entries(numbers).map(([name, value]) => [`eval_${name}`, value]);
  return { step, ...Object.fromEntries(named) };
}

/** TRL's columns: `step, prompt, completion, <one per reward function>, advantage`, and what else is known. */
function trlColumns({ step, prompt, completion, rewards, advantage, ...rest }: CompletionRow) {
  return { step, prompt, completion, ...rewards, advantage, ...rest };
}

function peftFiles(files: AdapterFiles): ExportedFile[] {
  return Object.entries(files).map(([name, bytes]) => ({ name, blob: new Blob([bytes]) }));
}

function jsonLines(objects: readonly unknown[]): Blob {
  const text = objects.map((object) => `${JSON.stringify(object)}\n`);
  return new Blob(text, { type: 'application/jsonl' });
}
