import { createContext, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useStore } from 'zustand';
import { useMediaQuery } from '../shared/use-media-query';
import type { AppServices } from '../store/app-services';
import { RewardSandbox } from './reward-sandbox';
import { createSetupStore, type Setup, type SetupStore } from './setup-store';
import { createTrainView, type TrainView, type TrainViewStore } from './train-view';
import { TrainingClient } from './training-client';
import type { RunRecord, TrainingState } from './training-state';

/** What the Train page's components reach: beside the page's own services. */
export interface TrainServices {
  training: TrainingClient;
  sandbox: RewardSandbox;
  setup: SetupStore;
  trainView: TrainViewStore;
}

const made = new WeakMap<AppServices, TrainServices>();

/** The Train page's services, made at its first visit: a run goes on while another page is shown. */
export function trainServices(services: AppServices): TrainServices {
  const known = made.get(services);
  if (known) return known;
  const sandbox = new RewardSandbox(new URL('reward-frame.html', document.baseURI).href);
  const training = new TrainingClient(services.client, (code, answers) => sandbox.score(code, answers));
  const fresh = { training, sandbox, setup: createSetupStore(), trainView: createTrainView() };
  made.set(services, fresh);
  return fresh;
}

export const TrainServicesContext = createContext<TrainServices | null>(null);

/** The services. @throws Error outside of the Train page. */
export function useTrainServices(): TrainServices {
  const services = useContext(TrainServicesContext);
  if (!services) throw new Error('TrainServicesContext has no provider above this component.');
  return services;
}

/** A part of what is known of runs. The selector must return the same object while nothing changed. */
export function useTraining<T>(select: (state: TrainingState) => T): T {
  return useStore(useTrainServices().training.store, select);
}

/** A part of the setup of a new run. */
export function useSetup<T>(select: (setup: Setup) => T): T {
  return useStore(useTrainServices().setup, select);
}

/** A part of what the user looks at on the Train page. */
export function useTrainView<T>(select: (view: TrainView) => T): T {
  return useStore(useTrainServices().trainView, select);
}

/** The run that is shown, where it was read. */
export function useRecord(): RunRecord | undefined {
  return useTraining(({ shown, records }) => (shown === undefined ? undefined : records[shown]));
}

/** The runs that it is compared with, where they were read. */
export function useCompared(): RunRecord[] {
  const records = useTraining((state) => state.records);
  const shown = useTraining((state) => state.shown);
  const names = useTrainView((view) => view.compared);
  return useMemo(
    () => names.flatMap((run) => (records[run] && run !== shown ? [records[run]] : [])),
    [names, records, shown],
  );
}

/** The live side of the run that is shown. */
export function useLive() {
  return useTraining(({ shown, live }) => (live && live.run === shown ? live : undefined));
}

/** A value as it was at most half a second ago (two seconds where the system asks for little motion). */
export function useThrottled<T>(value: T): T {
  const still = useMediaQuery('(prefers-reduced-motion: reduce)');
  const interval = still ? 2000 : 500;
  const [shown, setShown] = useState(value);
  const last = useRef(0);
  useEffect(() => {
    const wait = Math.max(0, last.current + interval - performance.now());
    const timer = setTimeout(() => {
      last.current = performance.now();
      setShown(value);
    }, wait);
    return () => clearTimeout(timer);
  }, [value, interval]);
  return shown;
}
