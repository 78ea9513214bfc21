import type { AppServices } from '../store/app-services';
import { meanSpeed } from './load-speed';
import { isOwn } from './model-url';

/** Remembers how fast the last download of another host went, once it ends: the mean of all of it. */
export function rememberSpeed({ client, models }: AppServices): void {
  client.store.subscribe((now, before) => {
    const load = before.nextModel ?? (before.model.status === 'loading' ? before.model : undefined);
    if (load?.source.kind !== 'url' || isOwn(load.source.url)) return;
    const goesOn = [now.nextModel, now.model].some((one) => one?.id === load.id && one.status === 'loading');
    const { began, samples } = client.desk.store.getState();
    const speed = goesOn ? undefined : meanSpeed(began, samples.at(-1));
    if (speed !== undefined) models.setState({ speed: Math.round(speed) });
  });
}
