import { useEffect, useState } from 'react';
import type { StoreApi } from 'zustand/vanilla';
import { useEngine } from '../store/app-services';
import type { DraftStore } from '../store/draft';
import type { EngineState } from '../store/engine-state';
import { loadSamples, type Sample, type SampleQuestion } from './sample-list';

const origins = new WeakMap<Blob, Sample>();

/** Remembers that a file is a sample's clip. */
export function markSample(file: Blob, sample: Sample): void {
  origins.set(file, sample);
}

/** The sample that a file is the clip of; undefined for the user's own files. */
export function sampleOf(file: Blob | undefined): Sample | undefined {
  return file && origins.get(file);
}

/** The sample that is open, or being read. */
export function useOpenSample(): Sample | undefined {
  return sampleOf(useEngine((state) => state.video?.file));
}

/** Puts a sample's question into the editor. */
export function applySampleQuestion(draft: DraftStore, question: SampleQuestion): void {
  const { label: _, ...rest } = draft.getState();
  draft.setState(
    {
      ...rest,
      mode: question.options.length > 0 ? 'choice' : 'free',
      text: question.question,
      options: question.options.length > 0 ? question.options : rest.options,
      ...(question.label >= 0 ? { label: question.label } : {}),
      fromSample: true,
    },
    true,
  );
}

/**
 * Takes the label from the question once a video that is no sample is ready, where the question is a sample's own or
 * the video before was a sample: it can be asked about the new one too, but its right answer is not known. Returns what
 * ends the watch.
 */
export function watchLabel(
  engine: Pick<StoreApi<Pick<EngineState, 'video'>>, 'subscribe'>,
  draft: DraftStore,
): () => void {
  let sampleBefore = false;
  return engine.subscribe(({ video }, before) => {
    if (video?.status !== 'ready' || video === before.video) return;
    const isSample = sampleOf(video.file) !== undefined;
    const { label, ...rest } = draft.getState();
    if (!isSample && label !== undefined && (rest.fromSample || sampleBefore)) draft.setState(rest, true);
    sampleBefore = isSample;
  });
}

/** The gallery's clips; undefined while they load. `failed` where the list cannot be read. */
export function useSamples(): { samples: Sample[] | undefined; failed: boolean } {
  const [state, setState] = useState<{ samples: Sample[] | undefined; failed: boolean }>({
    samples: undefined,
    failed: false,
  });
  useEffect(() => {
    let gone = false;
    loadSamples().then(
      (samples) => gone || setState({ samples, failed: false }),
      () => gone || setState({ samples: [], failed: true }),
    );
    return () => {
      gone = true;
    };
  }, []);
  return state;
}
