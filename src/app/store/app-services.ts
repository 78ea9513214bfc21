import { createContext, useContext, useMemo } from 'react';
import { useStore } from 'zustand';
import type { BlockBackend } from '../../worker/protocol';
import type { EngineClient } from '../engine-client';
import type { AnswerContexts } from '../export/answer-context';
import type { ModelStore, Models } from '../models/model-store';
import type { BenchState } from './bench-state';
import type { DeskState } from './desk-state';
import type { Draft, DraftStore } from './draft';
import type { AnswerState, EngineState, SampleState } from './engine-state';
import type { View, ViewStore } from './view';

/** What components reach through the context: the engine's client and the three stores. */
export interface AppServices {
  client: EngineClient;
  draft: DraftStore;
  view: ViewStore;
  models: ModelStore;
  /** What the answers ran on. */
  contexts: AnswerContexts;
  /** A dense backend that the address forces. */
  backend?: BlockBackend | undefined;
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

/** A part of what is known of the engine's kernels. */
export function useBench<T>(select: (state: BenchState) => T): T {
  return useStore(useServices().client.bench, select);
}

/** A part of what is known of models on disk and of those that are planned. */
export function useDesk<T>(select: (state: DeskState) => T): T {
  return useStore(useServices().client.desk.store, select);
}

/** A part of the question's draft. */
export function useDraft<T>(select: (draft: Draft) => T): T {
  return useStore(useServices().draft, select);
}

/** A part of what is remembered about models. */
export function useModels<T>(select: (models: Models) => T): T {
  return useStore(useServices().models, select);
}

/** A part of what the user looks at. */
export function useView<T>(select: (view: View) => T): T {
  return useStore(useServices().view, select);
}

/** An answer on the page: which one, and which of its samples. */
export interface Shown {
  answer: AnswerState;
  sample: SampleState;
  /** Index of the sample. */
  index: number;
}

/** The answer picked in the session list, else the newest, with the sample that has the focus. */
export function shownOf(
  { answers }: Pick<EngineState, 'answers'>,
  { shownAnswer, focusedSample }: Pick<View, 'shownAnswer' | 'focusedSample'>,
): Shown | undefined {
  const answer = answers.find(({ id }) => id === shownAnswer) ?? answers.at(-1);
  if (!answer) return undefined;
  const index = Math.min(focusedSample, answer.samples.length - 1);
  return { answer, index, sample: answer.samples[index]! };
}

/** The answer shown in the middle, with the sample that has the focus. */
export function useShown(): Shown | undefined {
  const answers = useEngine((state) => state.answers);
  const shownAnswer = useView((view) => view.shownAnswer);
  const focusedSample = useView((view) => view.focusedSample);
  return useMemo(
    () => shownOf({ answers }, { shownAnswer, focusedSample }),
    [answers, shownAnswer, focusedSample],
  );
}

/** Whether the middle shows a group of answers, and not one alone. */
export function isGroupShown(shown: Shown | undefined, { alone }: Pick<View, 'alone'>): boolean {
  return shown !== undefined && shown.answer.samples.length > 1 && !alone;
}

/** Whether the middle shows a group of answers; does not change with their tokens. */
export function useGroupShown(): boolean {
  const shownAnswer = useView((view) => view.shownAnswer);
  const alone = useView((view) => view.alone);
  return useEngine((state) => isGroupShown(shownOf(state, { shownAnswer, focusedSample: 0 }), { alone }));
}

/** The token under inspection: the pinned one, else the newest; -1 where there is none. */
export function useInspectedIndex(sample: SampleState | undefined): number {
  const pinned = useView((view) => view.pinned);
  const count = sample?.count ?? 0;
  return pinned !== undefined && pinned < count ? pinned : count - 1;
}
