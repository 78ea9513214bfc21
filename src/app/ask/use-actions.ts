import { useMemo } from 'react';
import type { FrameSampling } from '../../worker/protocol';
import { type AppServices, shownOf, useDraft, useEngine, useServices } from '../store/app-services';
import { askBlocker } from '../store/ask-blocker';
import { draftLabel, draftQuestion } from '../store/draft';
import { UNFOCUSED } from '../store/view';
import { forkAlternative, forkBlocker } from './fork-facts';
import type { Sample } from './sample-list';
import { applySampleQuestion, markSample } from './samples';
import { makeToySample } from './toy-clip';

/** Why Ask is off, as a sentence; undefined where it is on. */
export function useAskBlocker(): string | undefined {
  const draft = useDraft((state) => state);
  return useEngine((state) => askBlocker(state, draft));
}

/** What the Ask page does, for buttons and keys. */
export function useActions() {
  const services = useServices();
  return useMemo(() => askActions(services), [services]);
}

// Counts what was chosen: a clip that arrives late must not replace a newer choice.
let choice = 0;

/** The actions of the Ask page over the given services. */
export function askActions({ client, draft, view, player }: AppServices) {
  const open = (file: Blob, name: string) => client.openVideo(file, name, view.getState().sampling);
  const openWithQuestions = (file: Blob, sample: Sample) => {
    markSample(file, sample);
    const first = sample.questions[0];
    const { text, fromSample } = draft.getState();
    if (first && (fromSample || text.trim() === '')) applySampleQuestion(draft, first);
    open(file, sample.fileName);
  };
  return {
    /**
     * Asks what the editor holds, as often as it says or `num_generations` times. Does nothing where `askBlocker` has
     * a reason.
     */
    ask(num_generations?: number) {
      const current = draft.getState();
      if (askBlocker(client.store.getState(), current)) return;
      view.setState({ ...UNFOCUSED, shownAnswer: undefined });
      client.ask(draftQuestion(current), current.settings, {
        num_generations: num_generations ?? current.num_generations,
        label: draftLabel(current),
        adapters: view.getState().askAdapters,
      });
      // In one column the answer is written below what is in sight.
      if (matchMedia('(max-width: 759px)').matches)
        requestAnimationFrame(() => document.getElementById('answer')?.scrollIntoView());
    },
    stop: () => client.stop(),
    /** Continues the shown answer from the chosen alternative of the token under inspection. */
    fork() {
      const engine = client.store.getState();
      const { pinned, alternative: chosen } = view.getState();
      const shown = shownOf(engine, view.getState());
      if (!shown || forkBlocker(engine, shown)) return;
      const { answer, index, sample } = shown;
      const position = pinned !== undefined && pinned < sample.count ? pinned : sample.count - 1;
      const alternative = forkAlternative(sample.tokens[position]!, chosen);
      if (!alternative) return;
      view.setState({ ...UNFOCUSED, shownAnswer: undefined });
      client.fork(answer.id, index, position, alternative.id);
    },
    /** Shows an answer; with `sample`, that one of a group alone, and with `pinned` one of its tokens. */
    show: (id: number, sample?: number, pinned?: number) =>
      view.setState({
        ...UNFOCUSED,
        shownAnswer: id,
        ...(sample === undefined ? {} : { focusedSample: sample, alone: true }),
        pinned,
      }),
    /** Gives the focus to an answer of the group. */
    focus: (sample: number) =>
      view.setState({ focusedSample: sample, pinned: undefined, alternative: undefined }),
    /** Opens a file of the user's. */
    openFile(file: File) {
      choice += 1;
      open(file, file.name);
    },
    /** Fetches and opens a sample clip, with its first question unless the user has written one. */
    async openSample(sample: Sample) {
      if (!sample.url) return;
      const mine = ++choice;
      const response = await fetch(sample.url);
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      const file = await response.blob();
      if (mine === choice) openWithQuestions(file, sample);
    },
    /** Makes a random clip of the toy world and opens it, as a sample. Rejects where this browser has no encoder. */
    async newToyClip() {
      const mine = ++choice;
      const { file, sample } = await makeToySample();
      if (mine === choice) openWithQuestions(file, sample);
    },
    /** Chooses how frames are taken; the open video is read again. */
    setSampling(sampling: FrameSampling) {
      view.setState({ sampling });
      client.resample(sampling);
    },
    /** Shows a moment of the video, in seconds. */
    seek(time: number) {
      const video = player.current;
      if (!video) return;
      video.pause();
      // A hair after the frame's own time: exactly at it, some decoders still show the frame before.
      video.currentTime = Math.min(time + 0.001, video.duration || Number.POSITIVE_INFINITY);
    },
    /** Pins a token of the shown answer, or follows the newest again. */
    pin: (index: number | undefined) => view.setState({ pinned: index, alternative: undefined }),
  };
}

export type AskActions = ReturnType<typeof askActions>;
