import { LETTERS } from '../store/draft';

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
