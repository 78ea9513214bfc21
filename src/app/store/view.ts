import { createStore, type StoreApi } from 'zustand/vanilla';
import type { FrameSampling } from '../../worker/protocol';
import { readStored, writeStored } from './local-storage';
import type { PageName } from './pages';

export type Theme = 'light' | 'dark' | 'system';
export type GroupLayout = 'columns' | 'rows' | 'differences';
export type DialogName = 'help' | 'models' | 'export' | 'support' | 'compare';
export type Shading = 'none' | 'entropy' | 'probability';

/** What the user looks at. Nothing of it concerns the engine. */
export interface View {
  /** As the address's hash says (`followHash`). */
  page: PageName;
  theme: Theme;
  shading: Shading;
  /** Token that the inspector shows; undefined follows the newest. */
  pinned?: number | undefined;
  /** Answer shown in the middle; undefined shows the newest. */
  shownAnswer?: number | undefined;
  /** How the frames of a video are chosen. */
  sampling: FrameSampling;
  /** Which of its samples has the focus: the one that is looked into. */
  focusedSample: number;
  /** A group of answers as columns; or, when `alone`, the focused one as any single answer. */
  alone: boolean;
  groupLayout: GroupLayout;
  /** The group takes the place of all columns of the page. */
  groupFull: boolean;
  /** The group's answers by reward, best first, instead of in their order. */
  groupSorted: boolean;
  /** Id of the alternative that a fork would go on from; undefined: the most probable one. */
  alternative?: number | undefined;
  /** Adapters to answer with, '' for the base; those that are not loaded do not count. */
  askAdapters: readonly string[];
  /** The right column, where it is a drawer. */
  drawerOpen: boolean;
  /** The modal dialog that is open. */
  dialog?: DialogName | undefined;
}

export type ViewStore = StoreApi<View>;

const KEY = 'view';

/** What of the view belongs to one answer, as it is when another one is shown. */
export const UNFOCUSED = {
  pinned: undefined,
  alternative: undefined,
  focusedSample: 0,
  alone: false,
} as const satisfies Partial<View>;

/** The view's store. With `stored`, theme, shading and sampling come from localStorage and go back there. */
export function createViewStore(stored = true): ViewStore {
  const store = createStore<View>(() => ({
    ...(stored ? reviveView(readStored(KEY)) : reviveView(undefined)),
    ...UNFOCUSED,
    page: 'ask',
    groupLayout: 'columns',
    groupFull: true,
    groupSorted: false,
    askAdapters: [''],
    drawerOpen: false,
  }));
  if (stored) {
    store.subscribe((view, before) => {
      const { theme, shading, sampling } = view;
      if (theme !== before.theme || shading !== before.shading || sampling !== before.sampling)
        writeStored(KEY, { theme, shading, sampling });
    });
  }
  return store;
}

/** Theme, shading and sampling from whatever storage held. */
export function reviveView(value: unknown): Pick<View, 'theme' | 'shading' | 'sampling'> {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return {
    theme: raw.theme === 'light' || raw.theme === 'dark' ? raw.theme : 'system',
    shading: raw.shading === 'none' || raw.shading === 'probability' ? raw.shading : 'entropy',
    sampling: raw.sampling === '1fps' ? '1fps' : 'uniform',
  };
}

/** The theme after this one when the toggle is pressed. */
export function nextTheme(theme: Theme): Theme {
  return theme === 'system' ? 'light' : theme === 'light' ? 'dark' : 'system';
}

/** Keeps `<html data-theme>` in step with the store and, for `system`, with the system. Returns the end of it. */
export function applyTheme(store: ViewStore, root: HTMLElement = document.documentElement): () => void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    const { theme } = store.getState();
    root.dataset.theme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  };
  apply();
  dark.addEventListener('change', apply);
  const unsubscribe = store.subscribe(apply);
  return () => {
    unsubscribe();
    dark.removeEventListener('change', apply);
  };
}
