import { useEffect, useMemo } from 'react';
import type { BenchShapes } from '../../worker/bench-protocol';
import { handlePageKey, isTextField } from '../shared/page-keys';
import { useBench, useEngine, useServices } from '../store/app-services';
import { runningAnswer } from '../store/engine-state';

/** What the buttons and keys of the page do; `blocked` says why nothing can be measured. */
export interface BenchActions {
  blocked: string | undefined;
  measure(): void;
  test(): void;
  stop(): void;
}

/** The page's actions, with what stands in their way. */
export function useBenchActions(shapes: BenchShapes): BenchActions {
  const { client } = useServices();
  const blocked = useEngine((state) => {
    if (state.model.recorded) return 'Recorded answers are played: nothing is computed.';
    if (state.training) return 'A run is training. Pause it to measure.';
    if (state.model.status !== 'ready') return 'The model is not loaded yet.';
    return runningAnswer(state) ? 'An answer is being written.' : undefined;
  });
  const busy = useBench(({ status }) => status === 'running' || status === 'testing');
  return useMemo(() => {
    const unless = (act: () => void) => () => {
      if (!blocked && !busy) act();
    };
    return {
      blocked,
      measure: unless(() => client.measureKernels(shapes)),
      test: unless(() => client.testKernels()),
      stop: () => client.stopMeasuring(),
    };
  }, [client, shapes, blocked, busy]);
}

/** B measures, T tests, Escape stops. Single keys are off while a text field has the focus. */
export function useBenchKeys({ measure, test, stop }: BenchActions): void {
  const services = useServices();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (services.view.getState().dialog || event.defaultPrevented || event.isComposing) return;
      if (event.key === 'Escape') return stop();
      if (event.metaKey || event.ctrlKey || event.altKey || isTextField(event.target)) return;
      const key = event.key.toLowerCase();
      if (key === 'b') measure();
      else if (key === 't') test();
      else if (!handlePageKey(event.key, services)) return;
      event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [services, measure, test, stop]);
}
