import { createContext, useContext } from 'react';
import { useStore } from 'zustand';
import type { EngineClient } from '../engine-client';
import type { Draft, DraftStore } from './draft';
import type { AnswerState, EngineState } from './engine-state';
import type { View, ViewStore } from './view';

/** What components reach through the context: the engine's client and the three stores. */
export interface AppServices {
  client: EngineClient;
  draft: DraftStore;
  view: ViewStore;
  /** The page's player, for the film strip and the keyboard. */
  player: { current: HTMLVideoElement | null };
}

export const AppServicesContext = createContext<AppServices | null>(null);

/** The services. @throws Error outside of the provider. */
export function useServices(): AppServices {
  const services = useContext(AppServicesContext);
  if (!services) throw new Error('AppServicesContext has no provider above this component.');
  return services;
}

/** A part of the engine's state. The selector must return the same object while nothing changed. */
export function useEngine<T>(select: (state: EngineState) => T): T {
  return useStore(useServices().client.store, select);
}

export function useDraft<T>(select: (draft: Draft) => T): T {
  return useStore(useServices().draft, select);
}

export function useView<T>(select: (view: View) => T): T {
  return useStore(useServices().view, select);
}

/** The answer shown in the middle: the one picked in the session list, else the newest. */
export function useShownAnswer(): AnswerState | undefined {
  const shown = useView((view) => view.shownAnswer);
  return useEngine((state) => state.answers.find((answer) => answer.id === shown) ?? state.answers.at(-1));
}

/** The token under inspection: the pinned one, else the newest; -1 where there is none. */
export function useInspectedIndex(answer: AnswerState | undefined): number {
  const pinned = useView((view) => view.pinned);
  const count = answer?.tokens.length ?? 0;
  return pinned !== undefined && pinned < count ? pinned : count - 1;
}
