import type { Question, SamplingSettings } from '../../worker/protocol';
import { TRACE_FORMAT, TRACE_VERSION, type TraceDocument } from '../export/trace-document';

/**
 * The recorded answers of `samples/recorded.json`, a list of exported traces.
 * @throws Error with a sentence where the file is missing or of another format.
 */
export async function loadRecordings(base: string): Promise<TraceDocument[]> {
  const response = await fetch(new URL('recorded.json', base)).catch(() => undefined);
  if (!response?.ok)
    throw new Error(`The server ${response ? `answered ${response.status}` : 'did not answer'}.`);
  const value: unknown = await response.json().catch(() => undefined);
  const documents = Array.isArray(value) ? value : [];
  if (documents.length === 0 || !documents.every(isTrace))
    throw new Error('The file is not a list of traces that this page can read.');
  return documents;
}

function isTrace(value: unknown): value is TraceDocument {
  const { format, version } = (value ?? {}) as Partial<TraceDocument>;
  return format === TRACE_FORMAT && version === TRACE_VERSION;
}

/** What an answer depends on, beside the clip. */
export interface Asked {
  question: Question;
  settings: SamplingSettings;
  num_generations: number;
}

/** The recording of exactly this question, these settings and so many answers; undefined where there is none. */
export function findRecording(documents: readonly TraceDocument[], asked: Asked): TraceDocument | undefined {
  return documents.find(
    ({ question, settings, samples }) =>
      sameQuestion(question, asked.question) &&
      samples.length === asked.num_generations &&
      (Object.keys(settings) as (keyof SamplingSettings)[]).every(
        (name) => settings[name] === asked.settings[name],
      ),
  );
}

/** Why there is no such recording, as a sentence: what is recorded about this clip instead. */
export function notRecorded(documents: readonly TraceDocument[], { question }: Asked): string {
  const same = documents.filter((document) => sameQuestion(document.question, question));
  const list = (texts: string[]) => [...new Set(texts)].join('; ');
  if (same.length === 0)
    return `Without a model, only what was recorded can be played. About this clip that is: ${list(
      documents.map(({ question: { text } }) => text),
    )}`;
  return `This question was recorded with other settings: ${list(
    same.map(({ samples, settings }) => {
      const { temperature, top_k, top_p, max_new_tokens, seed } = settings;
      const count = samples.length === 1 ? '1 answer' : `${samples.length} answers`;
      return `${count}, temperature ${temperature}, top-k ${top_k}, top-p ${top_p}, ${max_new_tokens} tokens, seed ${seed}`;
    }),
  )}.`;
}

function sameQuestion(a: Question, b: Question): boolean {
  return (
    a.text === b.text &&
    a.reasoning === b.reasoning &&
    a.options.length === b.options.length &&
    a.options.every((option, index) => option === b.options[index])
  );
}
