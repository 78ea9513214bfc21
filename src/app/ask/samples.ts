import { useEffect, useState } from 'react';
import { useEngine } from '../store/app-services';
import { type DraftStore, LETTERS } from '../store/draft';

/** A question that comes with a sample clip. */
export interface SampleQuestion {
  question: string;
  options: string[];
  /** Index of the right option; -1 where none is given. */
  label: number;
  family: string;
}

/** A clip that comes with questions: one of the gallery, or a new toy clip. */
export interface Sample {
  /** Absolute address of a clip of the gallery; a clip that was made in the tab has none. */
  url?: string;
  /** Absolute address of its still, 128 px wide. */
  poster?: string;
  fileName: string;
  title: string;
  questions: SampleQuestion[];
}

/**
 * The clips of `samples/index.json`: `[{file, poster, title, questions: [{question, options, answer, family}]}]`, where
 * `answer` is a letter or an option's text. Entries of another shape are left out.
 * @param base Address of the folder `samples/`.
 */
export function parseSamples(value: unknown, base: string): Sample[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown): Sample[] => {
    const raw = (entry ?? {}) as Record<string, unknown>;
    if (typeof raw.file !== 'string') return [];
    const questions = Array.isArray(raw.questions) ? raw.questions.flatMap(parseQuestion) : [];
    const fileName = raw.file.split('/').at(-1)!;
    return [
      {
        url: new URL(raw.file, base).href,
        ...(typeof raw.poster === 'string' ? { poster: new URL(raw.poster, base).href } : {}),
        fileName,
        title: typeof raw.title === 'string' ? raw.title : fileName,
        questions,
      },
    ];
  });
}

function parseQuestion(value: unknown): SampleQuestion[] {
  const raw = (value ?? {}) as Record<string, unknown>;
  if (typeof raw.question !== 'string') return [];
  const options = (Array.isArray(raw.options) ? raw.options : [])
    .filter((option): option is string => typeof option === 'string')
    .map((option) => option.replace(/^[A-E][.)]\s+/, ''))
    .slice(0, LETTERS.length);
  const answer = typeof raw.answer === 'string' ? raw.answer.trim() : '';
  const letter = LETTERS.indexOf(answer.toUpperCase() as (typeof LETTERS)[number]);
  const label = letter >= 0 && letter < options.length ? letter : options.indexOf(answer);
  return [
    { question: raw.question, options, label, family: typeof raw.family === 'string' ? raw.family : '' },
  ];
}

const origins = new WeakMap<Blob, Sample>();

/** Remembers that a file is a sample's clip. */
export function markSample(file: Blob, sample: Sample): void {
  origins.set(file, sample);
}

/** The sample that a file is the clip of; undefined for the user's own files. */
export function sampleOf(file: Blob | undefined): Sample | undefined {
  return file && origins.get(file);
}

/** The sample that is open, or being read. */
export function useOpenSample(): Sample | undefined {
  return sampleOf(useEngine((state) => state.video?.file));
}

/** Puts a sample's question into the editor. */
export function applySampleQuestion(draft: DraftStore, question: SampleQuestion): void {
  const { label: _, ...rest } = draft.getState();
  draft.setState(
    {
      ...rest,
      mode: question.options.length > 0 ? 'choice' : 'free',
      text: question.question,
      options: question.options.length > 0 ? question.options : rest.options,
      ...(question.label >= 0 ? { label: question.label } : {}),
      fromSample: true,
    },
    true,
  );
}

let list: Promise<Sample[]> | undefined;

/** The gallery's clips, fetched once. Rejects where the list cannot be read; the next call then tries again. */
export function loadSamples(): Promise<Sample[]> {
  const base = new URL('samples/', document.baseURI).href;
  list ??= fetch(new URL('index.json', base))
    .then(async (response) => {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return parseSamples(await response.json(), base);
    })
    .catch((cause: unknown) => {
      list = undefined;
      throw cause;
    });
  return list;
}

/** The gallery's clips; undefined while they load. `failed` where the list cannot be read. */
export function useSamples(): { samples: Sample[] | undefined; failed: boolean } {
  const [state, setState] = useState<{ samples: Sample[] | undefined; failed: boolean }>({
    samples: undefined,
    failed: false,
  });
  useEffect(() => {
    let gone = false;
    loadSamples().then(
      (samples) => gone || setState({ samples, failed: false }),
      () => gone || setState({ samples: [], failed: true }),
    );
    return () => {
      gone = true;
    };
  }, []);
  return state;
}
