import { createStore, type StoreApi } from 'zustand/vanilla';
import type { DataReport, OwnQuestion, RunConfig, TrainingData } from '../../worker/training-protocol';
import { readStored, writeStored } from '../store/local-storage';
import { type PresetName, presetConfig } from './presets';
import { runProblems } from './run-problems';
import { type ChosenFolder, sent } from './video-folder';

/** A question of the user's own whose clip is gone: files cannot be kept without a run. */
export type LostQuestion = Omit<OwnQuestion, 'clip'>;

/** What a new run is going to be. */
export interface Setup {
  preset: PresetName;
  config: RunConfig;
  /** The configuration that `yours` brings back. */
  yours?: RunConfig;
  data: TrainingData['kind'];
  /** A JSONL file, and the folder of the videos. */
  questions?: File;
  videos?: ChosenFolder;
  own: readonly OwnQuestion[];
  /** Those of an earlier visit, which are no part of a run until their clips are chosen again. */
  lost: readonly LostQuestion[];
  /** What the engine found in the data that is chosen; undefined while it looks. */
  report?: DataReport | undefined;
  /** Empty: the next number. */
  name: string;
}

export type SetupStore = StoreApi<Setup>;

const KEY = 'train.setup';

/** The setup's store. Preset, configuration and questions come from localStorage and go back there; files cannot. */
export function createSetupStore(stored = true): SetupStore {
  const store = createStore<Setup>(() => reviveSetup(stored ? readStored(KEY) : undefined));
  if (stored)
    store.subscribe((setup, before) => {
      if (KEPT.some((name) => setup[name] !== before[name])) writeStored(KEY, storedSetup(setup));
    });
  return store;
}

const KEPT = ['preset', 'yours', 'data', 'own', 'lost'] as const;

/** What of a setup is stored, as JSON has it. */
export function storedSetup({ preset, yours, data, own, lost }: Setup): unknown {
  const questions = [...own, ...lost].map(({ problem, label, video_filename }) => ({
    problem,
    label,
    video_filename,
  }));
  return { preset, yours: yours && packed(yours), data, own: questions };
}

/** A setup from whatever storage held. A configuration that could not be started is forgotten. */
export function reviveSetup(value: unknown): Setup {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const yours = reviveConfig(raw.yours);
  const named = raw.preset === 'quick' || raw.preset === 'paper' || raw.preset === 'trl' ? raw.preset : 'toy';
  const preset = raw.preset === 'yours' && yours ? 'yours' : named;
  const lost = Array.isArray(raw.own) ? raw.own.filter(isQuestion) : [];
  return {
    preset,
    config: preset === 'yours' ? yours! : presetConfig(named),
    ...(yours ? { yours } : {}),
    data: raw.data === 'own' && lost.length > 0 ? 'own' : 'toy',
    own: [],
    lost,
    name: '',
  };
}

function isQuestion(value: unknown): value is LostQuestion {
  const { problem, label, video_filename } = (value ?? {}) as Record<string, unknown>;
  return [problem, label, video_filename].every((text) => typeof text === 'string');
}

/** The setup after clips were chosen again: each goes to the questions about a file of its name. */
export function findClips(setup: Setup, clips: readonly File[]): Setup {
  const own = [...setup.own];
  const lost = setup.lost.filter((question) => {
    const clip = clips.find(({ name }) => name === question.video_filename);
    if (clip) own.push({ ...question, clip });
    return !clip;
  });
  return { ...setup, own, lost };
}

/** JSON has no infinity, and one setting can be it. */
function packed(config: RunConfig): unknown {
  const { kl_clamp } = config.grpo;
  return { ...config, grpo: { ...config.grpo, kl_clamp: Number.isFinite(kl_clamp) ? kl_clamp : 'inf' } };
}

function reviveConfig(value: unknown): RunConfig | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const base = presetConfig('toy');
  const raw = value as RunConfig;
  try {
    const config: RunConfig = {
      ...base,
      ...raw,
      grpo: { ...base.grpo, ...raw.grpo },
      lora: { ...base.lora, ...raw.lora },
    };
    if ((config.grpo.kl_clamp as unknown) === 'inf') config.grpo.kl_clamp = Number.POSITIVE_INFINITY;
    return Object.keys(runProblems(config)).length === 0 ? config : undefined;
  } catch {
    return undefined;
  }
}

/** The setup after a preset was chosen. */
export function choosePreset(setup: Setup, preset: PresetName): Setup {
  if (preset === 'yours') return { ...setup, preset, config: setup.yours ?? setup.config };
  const data = preset === 'paper' || preset === 'trl' ? setup.data : 'toy';
  return { ...setup, preset, config: presetConfig(preset), data };
}

/** The setup after the user changed its configuration: it is theirs from then on. */
export function changeConfig(setup: Setup, change: Partial<RunConfig>): Setup {
  const config = { ...setup.config, ...change };
  return { ...setup, preset: 'yours', config, yours: config };
}

/** The data that a run would get; undefined where something is still missing. */
export function chosenData({ data, questions, videos, own }: Setup): TrainingData | undefined {
  switch (data) {
    case 'toy':
      return { kind: 'toy' };
    case 'files':
      return questions && videos
        ? { kind: 'files', name: questions.name, questions, ...sent(videos) }
        : undefined;
    case 'own':
      return own.length > 0 ? { kind: 'own', questions: own } : undefined;
  }
}
