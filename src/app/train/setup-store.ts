import { createStore, type StoreApi } from 'zustand/vanilla';
import type { DataReport, OwnQuestion, RunConfig, TrainingData } from '../../worker/training-protocol';
import { readStored, writeStored } from '../store/local-storage';
import { type PresetName, presetConfig } from './presets';
import { runProblems } from './run-problems';
import { type ChosenFolder, sent } from './video-folder';

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
  /** What the engine found in the data that is chosen; undefined while it looks. */
  report?: DataReport | undefined;
  /** Empty: the next number. */
  name: string;
}

export type SetupStore = StoreApi<Setup>;

const KEY = 'train.setup';

/** The setup's store. Preset and configuration come from localStorage and go back there; files cannot. */
export function createSetupStore(stored = true): SetupStore {
  const store = createStore<Setup>(() => reviveSetup(stored ? readStored(KEY) : undefined));
  if (stored)
    store.subscribe(({ preset, yours }) => writeStored(KEY, { preset, yours: yours && packed(yours) }));
  return store;
}

/** A setup from whatever storage held. A configuration that could not be started is forgotten. */
export function reviveSetup(value: unknown): Setup {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const yours = reviveConfig(raw.yours);
  const named = raw.preset === 'quick' || raw.preset === 'paper' || raw.preset === 'trl' ? raw.preset : 'toy';
  const preset = raw.preset === 'yours' && yours ? 'yours' : named;
  return {
    preset,
    config: preset === 'yours' ? yours! : presetConfig(named),
    ...(yours ? { yours } : {}),
    data: 'toy',
    own: [],
    name: '',
  };
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
