import { useEffect, useState } from 'react';
import { type DraftStore, LETTERS } from '../store/draft';

/** A question that comes with a sample clip. */
export interface SampleQuestion {
  question: string;
  options: string[];
  /** Index of the right option; -1 where none is given. */
  label: number;
  family: string;
}

/** A clip of the gallery. */
export interface Sample {
  /** Absolute address of the clip. */
  url: string;
  fileName: string;
  title: string;
  questions: SampleQuestion[];
}

/**
 * The clips of `samples/index.json`: `[{file, title, questions: [{question, options, answer, family}]}]`, where
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

/** The gallery's clips; undefined while they load. `failed` where the list cannot be read. */
export function useSamples(): { samples: Sample[] | undefined; failed: boolean } {
  const [state, setState] = useState<{ samples: Sample[] | undefined; failed: boolean }>({
    samples: undefined,
    failed: false,
  });
  useEffect(() => {
    const end = new AbortController();
    const base = new URL('samples/', document.baseURI).href;
    fetch(new URL('index.json', base), { signal: end.signal })
      .then(async (response) => {
        if (!response.ok) throw new Error(`HTTP ${response.status}`);
        setState({ samples: parseSamples(await response.json(), base), failed: false });
      })
      .catch(() => {
        if (!end.signal.aborted) setState({ samples: [], failed: true });
      });
    return () => end.abort();
  }, []);
  return state;
}
