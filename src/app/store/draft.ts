import { createStore, type StoreApi } from 'zustand/vanilla';
import { MAX_GENERATIONS, type Question, type SamplingSettings } from '../../worker/protocol';
import { readStored, writeStored } from './local-storage';

/** Letters of the options, in order. */
export const LETTERS = ['A', 'B', 'C', 'D', 'E'] as const;

/** The question as it stands in the editor, and how it will be answered. */
export interface Draft {
  mode: 'choice' | 'free';
  text: string;
  /** At most five. Empty ones at the end are not asked. */
  options: string[];
  /** Index of the right option, where a sample clip or the user gave it. */
  label?: number;
  /** True while text and options are a sample's own: another sample may then replace them. */
  fromSample: boolean;
  reasoning: boolean;
  /** Answers to write at once, 1 to `MAX_GENERATIONS`. */
  num_generations: number;
  settings: SamplingSettings;
}

/** The settings that the Ask page offers; min_p is training's. */
export type AskSetting = Exclude<keyof SamplingSettings, 'min_p'>;

/** Bounds of the settings' fields. */
export const SETTING_BOUNDS = {
  temperature: { min: 0, max: 5, step: 0.1, integer: false },
  top_k: { min: 0, max: 1000, step: 1, integer: true },
  top_p: { min: 0.01, max: 1, step: 0.05, integer: false },
  max_new_tokens: { min: 1, max: 2048, step: 16, integer: true },
  seed: { min: 0, max: 2 ** 31 - 1, step: 1, integer: true },
} as const satisfies Record<AskSetting, { min: number; max: number; step: number; integer: boolean }>;

/** What a first visit finds. */
export const DEFAULT_DRAFT: Draft = {
  mode: 'choice',
  text: '',
  options: ['', '', '', ''],
  fromSample: false,
  reasoning: true,
  num_generations: 1,
  settings: { temperature: 1, top_k: 50, top_p: 0.95, max_new_tokens: 256, seed: 17 },
};

const KEY = 'ask.draft';

export type DraftStore = StoreApi<Draft>;

/** The editor's store. With `stored`, it starts from localStorage and writes every change back. */
export function createDraftStore(stored = true): DraftStore {
  const store = createStore<Draft>(() => (stored ? reviveDraft(readStored(KEY)) : DEFAULT_DRAFT));
  if (stored) store.subscribe((draft) => writeStored(KEY, draft));
  return store;
}

/** A draft from whatever storage held: fields that are missing or of another shape take their defaults. */
export function reviveDraft(value: unknown): Draft {
  if (typeof value !== 'object' || value === null) return DEFAULT_DRAFT;
  const raw = value as Record<string, unknown>;
  const options =
    Array.isArray(raw.options) && raw.options.every((option) => typeof option === 'string')
      ? (raw.options as string[]).slice(0, LETTERS.length)
      : DEFAULT_DRAFT.options;
  const label = raw.label;
  const settings = { ...DEFAULT_DRAFT.settings };
  const rawSettings = (raw.settings ?? {}) as Record<string, unknown>;
  for (const name of Object.keys(settings) as AskSetting[]) {
    const number = rawSettings[name];
    if (typeof number === 'number' && settingProblem(name, number) === undefined) settings[name] = number;
  }
  return {
    mode: raw.mode === 'free' ? 'free' : 'choice',
    text: typeof raw.text === 'string' ? raw.text : '',
    options,
    ...(typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < options.length
      ? { label }
      : {}),
    fromSample: raw.fromSample === true,
    reasoning: raw.reasoning !== false,
    num_generations:
      typeof raw.num_generations === 'number' && generationsProblem(raw.num_generations) === undefined
        ? raw.num_generations
        : DEFAULT_DRAFT.num_generations,
    settings,
  };
}

/** Why a value cannot be a setting, as a sentence; undefined where it can. */
export function settingProblem(name: AskSetting, value: number): string | undefined {
  const { min, max, integer } = SETTING_BOUNDS[name];
  if (!Number.isFinite(value) || value < min || value > max || (integer && !Number.isInteger(value))) {
    return `${integer ? 'A whole number' : 'A number'} from ${min} to ${max}.`;
  }
  return undefined;
}

/** Why so many answers cannot be written at once, as a sentence; undefined where they can. */
export function generationsProblem(value: number): string | undefined {
  return Number.isInteger(value) && value >= 1 && value <= MAX_GENERATIONS
    ? undefined
    : `A whole number from 1 to ${MAX_GENERATIONS}.`;
}

/** The draft after the user changed its words. A sample's label does not hold for other words. */
export function editDraft(draft: Draft, change: Partial<Pick<Draft, 'text' | 'options'>>): Draft {
  const { label, ...rest } = draft;
  const options = change.options ?? draft.options;
  const keeps = label !== undefined && !draft.fromSample && label < options.length;
  return { ...rest, ...change, fromSample: false, ...(keeps ? { label } : {}) };
}

/** The options that will be asked: without the empty ones at the end. Empty in free text mode. */
export function askedOptions(draft: Draft): string[] {
  if (draft.mode === 'free') return [];
  const options = draft.options.map((option) => option.trim());
  while (options.length > 0 && options.at(-1) === '') options.pop();
  return options;
}

/** The question to send. */
export function draftQuestion(draft: Draft): Question {
  return { text: draft.text.trim(), options: askedOptions(draft), reasoning: draft.reasoning };
}

/** The letter of the right option, where it is known and will be asked. */
export function draftLabel(draft: Draft): string | undefined {
  return draft.label !== undefined && draft.label < askedOptions(draft).length
    ? LETTERS[draft.label]
    : undefined;
}

/** What is wrong with the question, as a sentence; undefined where it can be asked. */
export function draftProblem(draft: Draft): string | undefined {
  if (draft.text.trim() === '') return 'Write a question first.';
  const options = askedOptions(draft);
  const empty = options.indexOf('');
  if (empty >= 0) return `Fill option ${LETTERS[empty]}, or remove it.`;
  if (options.length === 1) return 'Write a second option, or choose Free text.';
  return undefined;
}
