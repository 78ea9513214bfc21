import { useEffect } from 'react';
import { type AppServices, shownOf, useServices } from '../store/app-services';
import { runningAnswer } from '../store/engine-state';
import { nextTheme } from '../store/view';
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
  const { dialog, drawerOpen, pinned } = view.getState();
  // An open dialog has its own Escape, and covers what the other keys would act on.
  if (dialog || event.defaultPrevented || event.isComposing) return false;
  if ((event.metaKey || event.ctrlKey) && event.key === 'Enter') {
    actions.ask();
    return true;
  }
  if (event.key === 'Escape') {
    if (runningAnswer(client.store.getState())) actions.stop();
    else if (drawerOpen || pinned !== undefined) view.setState({ drawerOpen: false, pinned: undefined });
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
      return stepToken(event.key, services);
    case 'a':
    case 'A':
      return stepAha(event.shiftKey, services);
    case 'f':
    case 'F':
      actions.fork();
      return true;
    case 'm':
    case 'M':
      view.setState({ dialog: 'models' });
      return true;
    case 'd':
    case 'D':
      view.setState((state) => ({ theme: nextTheme(state.theme) }));
      return true;
    case '?':
      view.setState({ dialog: 'help' });
      return true;
    default:
      return false;
  }
}

function isTextField(target: EventTarget | null): boolean {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  if (target instanceof HTMLInputElement)
    return !['radio', 'checkbox', 'range', 'button'].includes(target.type);
  return target instanceof HTMLElement && target.isContentEditable;
}

function stepFrame(by: number, { client, player }: AppServices, { seek }: AskActions): boolean {
  const times = client.store.getState().video?.info?.sampledTimes ?? [];
  if (!player.current || times.length === 0) return false;
  const next = nearestFrame(times, player.current.currentTime) + by;
  seek(times[Math.max(0, Math.min(times.length - 1, next))]!);
  return true;
}

function shownSample({ client, view }: AppServices) {
  return shownOf(client.store.getState(), view.getState())?.sample;
}

function stepToken(key: string, services: AppServices): boolean {
  const count = shownSample(services)?.count ?? 0;
  if (count === 0) return false;
  const { view } = services;
  const current = view.getState().pinned ?? count - 1;
  if (key === 'End') view.setState({ pinned: undefined, alternative: undefined });
  else if (key === 'Home') view.setState({ pinned: 0, alternative: undefined });
  else {
    const next = current + (key === 'ArrowRight' ? 1 : -1);
    view.setState({ pinned: Math.max(0, Math.min(count - 1, next)), alternative: undefined });
  }
  return true;
}

function stepAha(back: boolean, services: AppServices): boolean {
  const starts = (shownSample(services)?.trace?.sentences ?? [])
    .filter((sentence) => sentence.aha)
    .map((sentence) => sentence.start);
  if (starts.length === 0) return false;
  const { view } = services;
  const at = view.getState().pinned ?? -1;
  const next = back ? starts.findLast((start) => start < at) : starts.find((start) => start > at);
  view.setState({ pinned: next ?? (back ? starts.at(-1) : starts[0]), alternative: undefined });
  return true;
}
