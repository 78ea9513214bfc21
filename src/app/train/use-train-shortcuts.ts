import { useEffect } from 'react';
import { handlePageKey, isTextField } from '../shared/page-keys';
import { type AppServices, useServices } from '../store/app-services';
import { type TrainServices, useTrainServices } from './train-services';
import { type RunActions, useRunActions } from './use-run-actions';

/** The Train page's keys: P pauses or goes on, S saves, G gives the group the whole page. */
export function useTrainShortcuts(): void {
  const services = useServices();
  const train = useTrainServices();
  const actions = useRunActions();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (handleKey(event, services, train, actions)) event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [services, train, actions]);
}

function handleKey(
  event: KeyboardEvent,
  services: AppServices,
  { trainView }: TrainServices,
  actions: RunActions,
): boolean {
  const { view } = services;
  if (view.getState().dialog || event.defaultPrevented || event.isComposing) return false;
  if (event.key === 'Escape') {
    if (view.getState().drawerOpen) view.setState({ drawerOpen: false });
    else if (trainView.getState().groupFull) trainView.setState({ groupFull: false });
    else return false;
    return true;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || event.repeat || isTextField(event.target))
    return false;
  switch (event.key.toLowerCase()) {
    case 'p':
      return actions.togglePause();
    case 's':
      return actions.save();
    case 'g':
      trainView.setState((state) => ({ groupFull: !state.groupFull }));
      return true;
    default:
      return handlePageKey(event.key, services);
  }
}
