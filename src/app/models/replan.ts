import { sourceAddress } from '../../storage/kept-source';
import type { KeptModel } from '../../worker/model-protocol';
import type { ModelSource } from '../../worker/protocol';
import type { AppServices } from '../store/app-services';
import type { ModelState } from '../store/engine-state';
import { askPlan } from './choose-model';
import { isOwn } from './model-url';
import { partsLine } from './plan-facts';

/**
 * Where a model that answers or is loaded can be loaded from in another precision; undefined for the page's own models,
 * and where its files are out of reach.
 */
export function replannedSource(
  { source, recorded }: ModelState,
  kept: readonly KeptModel[] | undefined,
): ModelSource | undefined {
  if (recorded) return undefined;
  const row = source.kind === 'kept' ? kept?.find(({ id }) => id === source.id) : undefined;
  const url = row && sourceAddress(row.source);
  const from: ModelSource = url ? { kind: 'url', url } : source;
  return from.kind === 'files' || (from.kind === 'url' && !isOwn(from.url)) ? from : undefined;
}

/** Shows the plan of a model that answers or is loaded, to load it in another precision. */
export function planAgain(services: AppServices, model: ModelState): void {
  const source = replannedSource(model, services.client.desk.store.getState().kept);
  const precision = partsLine(model.info?.precision ?? []);
  if (source)
    askPlan(services, { name: model.name, source, wanted: true, ...(precision ? { precision } : {}) });
}

/** Whether a model was loaded from this browser and is not kept there any more. */
export function isGone(
  { source }: Pick<ModelState, 'source'>,
  kept: readonly KeptModel[] | undefined,
): boolean {
  return source.kind === 'kept' && kept !== undefined && !kept.some(({ id }) => id === source.id);
}

/** What it takes to have a kept model in another precision, where its files are out of reach; empty elsewhere. */
export function replanHint(model: ModelState, kept: readonly KeptModel[] | undefined): string {
  if (model.source.kind !== 'kept' || !kept || replannedSource(model, kept)) return '';
  return `To change its precision, ${isGone(model, kept) ? 'load it from where it came from' : 'choose its files again'}.`;
}
