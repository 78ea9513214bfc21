import { type FrameSampling, MAX_GENERATIONS, type SamplingSettings } from '../../worker/protocol';
import { LETTERS, settingProblem } from '../store/draft';

/** What a link carries: a clip of the gallery, and all that its answer depends on. */
export interface QuestionLink {
  /** File name of the clip. */
  clip: string;
  text: string;
  /** Empty for free text. */
  options: string[];
  /** Index of the right option. */
  label?: number;
  reasoning: boolean;
  sampling: FrameSampling;
  num_generations: number;
  settings: SamplingSettings;
}

const MAX_TEXT = 2000;
const SETTINGS = ['temperature', 'top_k', 'top_p', 'max_new_tokens', 'seed'] as const;

/** The hash of a link, `#ask?clip=...`. */
export function linkHash(link: QuestionLink): string {
  const query = new URLSearchParams({ clip: link.clip, q: link.text });
  for (const option of link.options) query.append('o', option);
  if (link.label !== undefined) query.set('label', LETTERS[link.label]!);
  if (!link.reasoning) query.set('reasoning', '0');
  if (link.sampling !== 'uniform') query.set('frames', link.sampling);
  if (link.num_generations > 1) query.set('g', String(link.num_generations));
  for (const name of SETTINGS) query.set(name, String(link.settings[name]));
  return `#ask?${query}`;
}

/**
 * What a hash asks for; undefined where it is no link to a question. Each field is checked by itself: `problems` are
 * sentences on those that could not be used, and `link` misses where the clip or the question is one of them. What is
 * missing comes from `defaults`.
 */
export function parseLink(
  hash: string,
  defaults: Pick<QuestionLink, 'settings'>,
): { link?: QuestionLink; problems: string[] } | undefined {
  if (!hash.startsWith('#ask?')) return undefined;
  const query = new URLSearchParams(hash.slice('#ask?'.length));
  const problems: string[] = [];
  const clip = query.get('clip') ?? '';
  if (!/^[\w-]{1,80}\.mp4$/.test(clip)) problems.push('It names no sample clip.');
  const text = (query.get('q') ?? '').trim();
  if (text === '') problems.push('It has no question.');
  else if (text.length > MAX_TEXT) problems.push(`Its question is longer than ${MAX_TEXT} characters.`);
  const usable = problems.length === 0;
  const given = query.getAll('o');
  const options = given.filter((option) => option.trim() !== '').slice(0, LETTERS.length);
  const goodOptions = given.length === options.length && options.length !== 1 && options.every(isShort);
  if (!goodOptions) problems.push('Its options are not two to five short texts: they were left out.');
  const settings = { ...defaults.settings };
  for (const name of SETTINGS) {
    const value = query.get(name);
    if (value === null) continue;
    const number = value.trim() === '' ? Number.NaN : Number(value);
    if (settingProblem(name, number) === undefined) settings[name] = number;
    else problems.push(`Its ${name} cannot be used: ${settings[name]} is kept.`);
  }
  const choice = <T>(name: string, values: Record<string, T>, fallback: T): T => {
    const value = query.get(name);
    if (value === null) return fallback;
    if (Object.hasOwn(values, value)) return values[value]!;
    problems.push(`Its “${name}” cannot be used.`);
    return fallback;
  };
  const counts = Object.fromEntries(
    Array.from({ length: MAX_GENERATIONS }, (_, i) => [String(i + 1), i + 1]),
  );
  const letters = Object.fromEntries(
    LETTERS.slice(0, goodOptions ? options.length : 0).map((letter, index) => [letter, index]),
  );
  const label = goodOptions ? choice<number | undefined>('label', letters, undefined) : undefined;
  const link: QuestionLink = {
    clip,
    text,
    options: goodOptions ? options : [],
    ...(label === undefined ? {} : { label }),
    reasoning: choice('reasoning', { '0': false, '1': true }, true),
    sampling: choice<FrameSampling>('frames', { uniform: 'uniform', '1fps': '1fps' }, 'uniform'),
    num_generations: choice('g', counts, 1),
    settings,
  };
  return usable ? { link, problems } : { problems };
}

function isShort(text: string): boolean {
  return text.length <= 200;
}
