import {
  type FileDemonstration,
  isDemonstrationFile,
  parseDemonstrationFile,
} from '../../data/demonstration-file';
import { videoFinder } from '../../data/find-videos';
import { splitHeldOut } from '../../data/held-out';
import {
  type DataProblem,
  type FileQuestion,
  longestProblem,
  parseQuestionFile,
  writeQuestionFile,
} from '../../data/question-file';
import { buildPrompt } from '../../model/prompt';
import type { TinyLlava } from '../../model/tiny-llava';
import type { Tokenizer } from '../../model/tokenizer';
import type { OpenRun, RunStore } from '../../storage/run-store';
import { openVideo } from '../../video/container';
import { VideoError } from '../../video/errors';
import type { DataReport, OwnQuestion, TrainingData, VideoFolder } from '../training-protocol';
import {
  DemonstrationSource,
  FileSource,
  type QuestionModel,
  type QuestionSource,
  toySource,
} from './question-source';
import type { StoredRun } from './stored-run';
import { VideoTokens } from './video-tokens';

/** Problems that a report lists; it counts them all. */
const MAX_PROBLEMS = 200;
/** Tokens that an answer to a question needs at the least. */
const LEAST_ANSWER = 32;
/** Files whose tables are read at a time. */
const AT_ONCE = 8;
const QUESTIONS = 'questions.jsonl';
/** What a run began with, a `BeganWith`: it goes on with the same, so that it keeps its place in the data. */
const BEGAN_WITH = 'began-with.json';

/** The lines that a run began without, and the bytes of each video that is not kept with it. */
interface BeganWith {
  left_out: number[];
  bytes: Record<string, number>;
}

type FileData = Exclude<TrainingData, { kind: 'toy' }>;
type Find = (video_filename: string) => Promise<Blob | undefined>;

/** Data as far as it can be used: questions, or traces for the cold start. */
interface Usable {
  questions: FileQuestion[];
  demonstrations: FileDemonstration[];
  problems: DataProblem[];
  total: number;
}

/** The data's questions as text, and the file of each video. */
async function readData(data: FileData): Promise<{ text: string; find: Find }> {
  if (data.kind === 'files') {
    return { text: await data.questions.text(), find: folderFinder(data) };
  }
  const clips = namedClips(data.questions);
  const byName = new Map(clips.map(({ video_filename, clip }) => [video_filename, clip]));
  const rows = clips.map(({ problem, solution, video_filename }) => ({ problem, solution, video_filename }));
  return { text: writeQuestionFile(rows), find: async (name) => byName.get(name) };
}

function folderFinder({ videos, paths }: VideoFolder): Find {
  const find = videoFinder(
    videos.map((file, i) => ({
      file,
      name: file.name,
      webkitRelativePath: paths?.[i] ?? file.webkitRelativePath,
    })),
  );
  return async (name) => find(name)?.file;
}

/** Own questions as rows of a file, each clip under a name of its own. */
function namedClips(questions: readonly OwnQuestion[]) {
  const names = new Map<Blob, string>();
  const taken = new Set<string>();
  return questions.map(({ problem, label, clip, video_filename }) => {
    let name = names.get(clip);
    if (!name) {
      const base =
        video_filename
          .split(/[\\/]/)
          .at(-1)
          ?.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-') || 'clip.mp4';
      name = `./clips/${base}`;
      for (let i = 2; taken.has(name); i++) name = `./clips/${i}-${base}`;
      taken.add(name);
      names.set(clip, name);
    }
    return { problem, solution: `<answer>${label}</answer>`, video_filename: name, clip };
  });
}

/**
 * Leaves out lines that are malformed, whose video is missing, or whose prompt is too long for the model.
 * @param without lines that are not looked at.
 */
async function usable(
  text: string,
  find: Find,
  model: TinyLlava | undefined,
  without: ReadonlySet<number> = new Set(),
): Promise<Usable> {
  const parsed = isDemonstrationFile(text)
    ? { questions: [], ...parseDemonstrationFile(text) }
    : { demonstrations: [], ...parseQuestionFile(text) };
  const { problems, total } = parsed;
  const good = async <T extends { line: number; video_filename: string }>(
    rows: readonly T[],
    tokens: (row: T, tokenizer: Tokenizer) => number,
  ): Promise<T[]> => {
    const kept: T[] = [];
    for (const row of rows) {
      const { line, video_filename } = row;
      if (without.has(line)) continue;
      if (!(await find(video_filename)))
        problems.push({ line, code: 'missing-video', message: `${video_filename} is not among the videos.` });
      else {
        const long = model && tooLong(tokens(row, model.tokenizer), model);
        if (long) problems.push({ line, code: 'too-long', message: long });
        else kept.push(row);
      }
    }
    return kept;
  };
  return {
    questions: await good(
      parsed.questions,
      ({ problem }, tokenizer) => tokenizer.encodePrompt(buildPrompt(problem)).length + LEAST_ANSWER,
    ),
    demonstrations: await good(
      parsed.demonstrations,
      ({ message, answer }, tokenizer) => tokenizer.encodeTraining(message, answer).input_ids.length,
    ),
    problems,
    total,
  };
}

/** @param tokens of prompt and answer, the video being one of them. */
function tooLong(tokens: number, model: TinyLlava): string | undefined {
  const rows = tokens - 1 + model.config.connector.num_queries;
  const most = model.language.max_positions;
  if (rows <= most) return undefined;
  return `With the video's tokens and an answer this is ${rows} tokens long, and the model has room for ${most}.`;
}

/** Reads the tables of every video that questions name. */
async function unreadableVideos(
  questions: readonly { video_filename: string }[],
  find: Find,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const names = [...new Set(questions.map(({ video_filename }) => video_filename))];
  const bad = new Map<string, string>();
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < names.length) {
      signal.throwIfAborted();
      const name = names[next++]!;
      try {
        const file = await find(name);
        if (file) await openVideo(Object.assign(file.slice(0, file.size, file.type), { name }), { signal });
      } catch (cause) {
        if (!(cause instanceof VideoError)) throw cause;
        bad.set(name, cause.message);
      }
      onProgress(++done, names.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return bad;
}

/** Looks through data before a run starts: lines, videos and their tables, and with a model the prompts' lengths. */
export async function checkData(
  data: TrainingData,
  model: TinyLlava | undefined,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<DataReport> {
  if (data.kind === 'toy')
    return {
      usable: Number.POSITIVE_INFINITY,
      total: Number.POSITIVE_INFINITY,
      problems: [],
      problem_count: 0,
      held_out: Number.POSITIVE_INFINITY,
    };
  const { text, find } = await readData(data);
  const { questions, demonstrations, problems, total } = await usable(text, find, model);
  const rows = [...questions, ...demonstrations];
  const bad = await unreadableVideos(rows, find, onProgress, signal);
  for (const { line, video_filename } of rows) {
    const message = bad.get(video_filename);
    if (message) problems.push({ line, code: 'unreadable-video', message });
  }
  problems.sort((a, b) => a.line - b.line);
  const good = rows.filter(({ video_filename }) => !bad.has(video_filename));
  const longest = longestProblem(questions.filter(({ video_filename }) => !bad.has(video_filename)));
  return {
    usable: good.length,
    total,
    problems: problems.slice(0, MAX_PROBLEMS),
    problem_count: problems.length,
    held_out: demonstrations.length > 0 ? 0 : splitHeldOut(good).heldOut.length,
    longest,
    ...(demonstrations.length > 0 ? { traces: true } : {}),
  };
}

/** Keeps with the run what it will need again: the questions, and the user's own clips. */
export async function keepData(open: OpenRun<StoredRun>, data: TrainingData): Promise<void> {
  if (data.kind === 'toy') return;
  await open.writeData(QUESTIONS, (await readData(data)).text);
  if (data.kind === 'files') return;
  for (const [name, clip] of new Map(namedClips(data.questions).map((q) => [q.video_filename, q.clip])))
    await open.writeData(name.slice(2), clip);
}

/**
 * A run's questions. `videos` are needed where they are the user's files, which are not kept on disk.
 * @throws Error with a sentence where the data is not there, is another, or has nothing to train on.
 */
export async function openSource(
  use: QuestionModel,
  store: RunStore<StoredRun>,
  open: OpenRun<StoredRun>,
  videos: VideoFolder | undefined,
): Promise<QuestionSource> {
  const { run, name, data: kept, config } = open.header;
  if (kept.kind === 'toy') return toySource(use);
  const text = await (await store.data(run, QUESTIONS))?.text();
  if (text === undefined) throw new Error(`The questions of ${name} are no longer on this device.`);
  let find: Find = async (file) => store.data(run, file.slice(2));
  if (kept.kind === 'files') {
    if (!videos)
      throw new Error(`Choose the folder with the videos of ${name} again: a page cannot keep them.`);
    find = folderFinder(videos);
  }
  const began = await (await store.data(run, BEGAN_WITH))?.text();
  const before = began === undefined ? undefined : (JSON.parse(began) as BeganWith);
  const found = await usable(text, find, use.model, new Set(before?.left_out));
  const { questions, demonstrations } = found;
  const bytes = kept.kind === 'files' ? await videoBytes([...questions, ...demonstrations], find) : {};
  if (before) checkVideos(open.header, found.problems, before, bytes);
  const keep = async () => {
    if (before) return;
    const left_out = [...new Set(found.problems.map(({ line }) => line))];
    await open.writeData(BEGAN_WITH, JSON.stringify({ left_out, bytes } satisfies BeganWith));
  };
  const tokens = new VideoTokens(use, find);
  if (config.stage === 'cold-start') {
    if (demonstrations.length === 0)
      throw new Error('The cold start learns from given traces, and these data have none that can be used.');
    await keep();
    return new DemonstrationSource(use.model, tokens, demonstrations);
  }
  const split = splitHeldOut(questions);
  if (split.training.length === 0)
    throw new Error('None of the questions can be used: see the report on the data.');
  await keep();
  return new FileSource(use.model, tokens, split);
}

async function videoBytes(
  rows: readonly { video_filename: string }[],
  find: Find,
): Promise<Record<string, number>> {
  const bytes: Record<string, number> = {};
  for (const { video_filename } of rows) bytes[video_filename] ??= (await find(video_filename))?.size ?? 0;
  return bytes;
}

/** @throws Error where videos that the run began with are lacking, or others are in their place. */
function checkVideos(
  { name, data }: StoredRun,
  problems: readonly DataProblem[],
  before: BeganWith,
  bytes: Readonly<Record<string, number>>,
): void {
  const lacking = new Set(
    problems.filter(({ code }) => code === 'missing-video').map(({ message }) => message),
  );
  for (const [video, size] of Object.entries(bytes))
    if (before.bytes[video] !== undefined && before.bytes[video] !== size)
      lacking.add(`${video} is another file there.`);
  const [first] = lacking;
  if (first === undefined) return;
  if (data.kind === 'own')
    throw new Error(`Clips of ${name} are no longer on this device. ${first} Set up a new run with them.`);
  const more = lacking.size > 1 ? ` So it is with ${lacking.size - 1} more.` : '';
  const folder = data.folder ? `, ${data.folder}` : '';
  throw new Error(
    `This is not the folder that ${name} began with${folder}. ${first}${more} Choose the folder that has them.`,
  );
}

/** The run's questions and clips as files, in the format that is read. */
export async function dataFiles(
  store: RunStore<StoredRun>,
  run: string,
): Promise<{ name: string; blob: Blob }[]> {
  const questions = await store.data(run, QUESTIONS);
  if (!questions) return [];
  const rows = parseQuestionFile(await questions.text()).questions;
  const files = [{ name: QUESTIONS, blob: questions }];
  for (const name of new Set(rows.map(({ video_filename }) => video_filename))) {
    const clip = name.startsWith('./clips/') ? await store.data(run, name.slice(2)) : undefined;
    if (clip) files.push({ name: name.slice(2), blob: clip });
  }
  return files;
}
