import { type DeskRequest, type ModelDeskEngine, storeOf } from './model-desk';
import type { ModelPlan, StorageRoom } from './model-protocol';
import { answerPlan } from './plan-request';
import { keptModels } from './prepare-kept';

/** Lists, deletes or plans models, and posts what comes of it. @throws StorageError, and as `answerPlan`. */
export async function answerDesk(request: DeskRequest, engine: ModelDeskEngine): Promise<void> {
  const { id } = request;
  if (request.type === 'plan-model') {
    const tell = async (plan: ModelPlan) =>
      engine.post({ type: 'model-plan', id, plan, ...(await storageRoom()) });
    return answerPlan(request, storeOf(request.source), { ...engine, tell });
  }
  const models = await keptModels();
  if (request.type === 'delete-model') await models.delete(request.model);
  engine.post({ type: 'kept-models', id, models: await models.list(), ...(await storageRoom()) });
}

async function storageRoom(): Promise<{ room?: StorageRoom }> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    if (usage === undefined || quota === undefined) return {};
    return { room: { usage, quota, persisted: await navigator.storage.persisted() } };
  } catch {
    return {};
  }
}
