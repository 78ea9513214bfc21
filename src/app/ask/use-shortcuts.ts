import { useEffect } from 'react';
import { handlePageKey, isTextField } from '../shared/page-keys';
import { type AppServices, isGroupShown, type Shown, shownOf, useServices } from '../store/app-services';
import { runningAnswer } from '../store/engine-state';
import { groupOrder } from './group-facts';
import { type AskActions, useActions } from './use-actions';
import { nearestFrame, togglePlay } from './use-playback';

/** The page's keys. Single keys are off while a text field has the focus. */
export function useShortcuts(): void {
  const services = useServices();
  const actions = useActions();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (handleKey(event, services, actions)) event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [services, actions]);
}

/** Does what a key stands for. Returns whether it stands for anything. */
function handleKey(event: KeyboardEvent, services: AppServices, actions: AskActions): boolean {
  const { client, view, player } = services;
  const { dialog, drawerOpen, pinned, alone } = view.getState();
  // An open dialog has its own Escape, and covers what the other keys would act on.
  if (dialog || event.defaultPrevented || event.isComposing) return false;
  if ((event.metaKey || event.ctrlKey) && event.key === 'Enter') {
    actions.ask();
    return true;
  }
  if (event.key === 'Escape') {
    if (runningAnswer(client.store.getState())) actions.stop();
    else if (drawerOpen || pinned !== undefined)
      view.setState({ drawerOpen: false, pinned: undefined, alternative: undefined });
    else if (alone) view.setState({ alone: false });
    else return false;
    return true;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || isTextField(event.target)) return false;
  const held = event.target instanceof Element ? event.target.closest('button, a, input, summary') : null;
  switch (event.key) {
    case ' ':
      if (held || !player.current) return false;
      togglePlay(player.current);
      return true;
    case ',':
    case '.':
      return stepFrame(event.key === '.' ? 1 : -1, services, actions);
    case 'ArrowLeft':
    case 'ArrowRight':
    case 'Home':
    case 'End':
      if (held instanceof HTMLInputElement) return false;
      return step(event.key, services, actions);
    case 'a':
    case 'A':
      return stepAha(event.shiftKey, services);
    case 'f':
    case 'F':
      // Only where the token and its alternatives are in sight.
      if (groupNow(services) && view.getState().groupFull) return false;
      actions.fork();
      return true;
    case 'g':
    case 'G':
      return showGroup(services);
    case 'r':
    case 'R':
      if (!groupNow(services)) return false;
      view.setState((state) => ({ groupSorted: !state.groupSorted }));
      return true;
    default:
      if (/^[1-8]$/.test(event.key)) return focusAnswer(Number(event.key) - 1, services, actions);
      return handlePageKey(event.key, services);
  }
}

function stepFrame(by: number, { client, player }: AppServices, { seek }: AskActions): boolean {
  const times = client.store.getState().video?.info?.sampledTimes ?? [];
  if (!player.current || times.length === 0) return false;
  const next = nearestFrame(times, player.current.currentTime) + by;
  seek(times[Math.max(0, Math.min(times.length - 1, next))]!);
  return true;
}

/** From an answer shown alone back to its group; then the whole page for the group, or not. */
function showGroup(services: AppServices): boolean {
  const { view } = services;
  if (groupNow(services)) view.setState((state) => ({ groupFull: !state.groupFull }));
  else if ((shownNow(services)?.answer.samples.length ?? 0) > 1)
    view.setState({ alone: false, groupFull: true });
  else return false;
  return true;
}

function shownNow({ client, view }: AppServices): Shown | undefined {
  return shownOf(client.store.getState(), view.getState());
}

/** The group that is shown, if one is. */
function groupNow(services: AppServices): Shown | undefined {
  const shown = shownNow(services);
  return isGroupShown(shown, services.view.getState()) ? shown : undefined;
}

/** Gives the focus to an answer of the group, by its index; in an answer shown alone, to another one of its group. */
function focusAnswer(index: number, services: AppServices, { focus }: AskActions): boolean {
  const shown = shownNow(services);
  if (!shown || shown.answer.samples.length < 2 || index >= shown.answer.samples.length) return false;
  focus(index);
  const head = document.querySelector<HTMLElement>(`[data-sample="${index}"] > button`);
  head?.focus({ preventScroll: true });
  head?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  return true;
}

/** Moves along the tokens of one answer, or along the answers of a group. */
function step(key: string, services: AppServices, actions: AskActions): boolean {
  const shown = shownNow(services);
  if (!shown) return false;
  const group = groupNow(services);
  if (group) {
    const order = groupOrder(group.answer, services.view.getState().groupSorted);
    return focusAnswer(order[moved(key, order.indexOf(group.index), order.length)]!, services, actions);
  }
  const { count } = shown.sample;
  if (count === 0) return false;
  const current = services.view.getState().pinned ?? count - 1;
  // The last place is where the newest token comes: it is followed.
  actions.pin(key === 'End' ? undefined : moved(key, current, count));
  return true;
}

function moved(key: string, at: number, count: number): number {
  if (key === 'Home') return 0;
  if (key === 'End') return count - 1;
  return Math.max(0, Math.min(count - 1, at + (key === 'ArrowRight' ? 1 : -1)));
}

/** Goes to the next or the last aha moment, in a group through all answers in the order in which they are shown. */
function stepAha(back: boolean, services: AppServices): boolean {
  const shown = shownNow(services);
  if (!shown) return false;
  const { view } = services;
  const { pinned = -1, groupSorted } = view.getState();
  const group = groupNow(services);
  const order = group ? groupOrder(group.answer, groupSorted) : [shown.index];
  const places = order.flatMap((sample, place) =>
    (shown.answer.samples[sample]!.trace?.sentences ?? [])
      .filter((sentence) => sentence.aha)
      .map(({ start }) => ({ sample, place, start })),
  );
  if (places.length === 0) return false;
  const at = order.indexOf(shown.index);
  const isAfter = (one: { place: number; start: number }) =>
    one.place > at || (one.place === at && one.start > pinned);
  const isBefore = (one: { place: number; start: number }) =>
    one.place < at || (one.place === at && one.start < pinned);
  const next = back ? (places.findLast(isBefore) ?? places.at(-1)!) : (places.find(isAfter) ?? places[0]!);
  view.setState({ focusedSample: next.sample, pinned: next.start, alternative: undefined });
  if (group) {
    requestAnimationFrame(() =>
      document.querySelector('[data-current]')?.scrollIntoView({ block: 'nearest' }),
    );
  }
  return true;
}
