import { createStore, type StoreApi } from 'zustand/vanilla';
import { readStored, writeStored } from '../store/local-storage';
import { hubUrl, modelName, modelUrl } from './model-url';

/** A model that the user can choose. */
export type ChosenModel =
  | { kind: 'toy' }
  | { kind: 'recorded' }
  | { kind: 'url'; url: string }
  | { kind: 'folder'; name: string }
  /** Kept in this browser. */
  | { kind: 'kept'; id: string; name: string };

/** What is remembered about models. */
export interface Models {
  chosen: ChosenModel;
  /** Addresses that were loaded, newest first. */
  recent: string[];
  /** Name of the folder that was opened last. */
  lastFolder?: string;
  /** Address of the hub, where it is not the usual one. */
  hub?: string;
  /** Bytes a second of the last download. */
  speed?: number;
}

export type ModelStore = StoreApi<Models>;

const KEY = 'models';
const MAX_RECENT = 5;

/** The store of what is remembered, from localStorage and back to it. `base` is the page's address. */
export function createModelStore(base: string): ModelStore {
  const store = createStore<Models>(() => reviveModels(readStored(KEY), base));
  store.subscribe((models) => writeStored(KEY, models));
  return store;
}

/** What is remembered, from whatever storage held. Addresses are checked again as if they were typed. */
export function reviveModels(value: unknown, base: string): Models {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const address = (text: unknown): string[] => {
    const checked = typeof text === 'string' ? modelUrl(text, base) : undefined;
    return checked && 'url' in checked ? [checked.url] : [];
  };
  const recent = (Array.isArray(raw.recent) ? raw.recent : []).flatMap(address).slice(0, MAX_RECENT);
  const chosen = (raw.chosen ?? {}) as Record<string, unknown>;
  const [url] = address(chosen.url);
  const { id, name } = chosen;
  const revived: ChosenModel =
    chosen.kind === 'url' && url
      ? { kind: 'url', url }
      : chosen.kind === 'kept' && typeof id === 'string' && typeof name === 'string'
        ? { kind: 'kept', id, name }
        : { kind: 'toy' };
  const hub = typeof raw.hub === 'string' ? hubUrl(raw.hub, base) : undefined;
  return {
    chosen: revived,
    recent,
    ...(typeof raw.lastFolder === 'string' ? { lastFolder: raw.lastFolder } : {}),
    ...(hub && 'url' in hub ? { hub: hub.url } : {}),
    ...(Number.isFinite(raw.speed) && Number(raw.speed) > 0 ? { speed: Number(raw.speed) } : {}),
  };
}

/** The memory after an address was chosen. */
export function rememberUrl({ recent }: Models, url: string): Pick<Models, 'chosen' | 'recent'> {
  return {
    chosen: { kind: 'url', url },
    recent: [url, ...recent.filter((other) => other !== url)].slice(0, MAX_RECENT),
  };
}

/** How a chosen model is called on the page. */
export function chosenName(chosen: ChosenModel): string {
  switch (chosen.kind) {
    case 'toy':
      return 'Toy model';
    case 'recorded':
      return 'Recorded answers';
    case 'url':
      return modelName(chosen.url);
    case 'folder':
    case 'kept':
      return chosen.name;
  }
}
