import { copySpeed } from '../bench/copy-speed';
import { adapterOffer, type Gpu } from '../gpu/device';
import { largestTensor } from '../gpu/largest-tensor';
import { parseConfig } from '../model/config';
import { planModel } from '../model/model-plan';
import { openCheckpoint } from '../weights/checkpoint';
import type { FileStore } from '../weights/file-store';
import { AdapterMemory } from './adapter-memory';
import type { ModelPlan, ModelRequest } from './model-protocol';

/** What answers a plan. */
export interface PlanPlace {
  /** The GPU of the model that is loaded. */
  gpu: () => Gpu | undefined;
  /** Runs a job with the GPU for itself, once what is in the queue is done. */
  alone: (id: number, job: (gpu: Gpu | undefined) => Promise<void>) => void;
  tell: (plan: ModelPlan) => Promise<void>;
}

const SPEED = 'copy-gbps';

/**
 * Plans a model from its headers, and tells the plan as soon as it is there, then again with what takes longer: the
 * memory of training where it is asked for, or this adapter's speed, which is measured once and remembered.
 * @throws CheckpointError, as `openCheckpoint`, `parseConfig` and `planModel`.
 */
export async function answerPlan(
  { id, size, training: run }: Extract<ModelRequest, { type: 'plan-model' }>,
  store: FileStore,
  { gpu, alone, tell }: PlanPlace,
): Promise<void> {
  const checkpoint = await openCheckpoint(store);
  const config = parseConfig(checkpoint.config);
  const open = gpu();
  const offer = open && { f16: open.f16, largest: largestTensor(open.device.limits) };
  const plan = planModel(checkpoint, config, size, offer ?? (await adapterOffer()));
  const like = gpu();
  const known = like && (await rememberedSpeed(like));
  if (known !== undefined) plan.copy_gbps = known;
  await tell(plan);
  if (run && like) {
    const { planTraining } = await import('./plan-training');
    const [first] = plan.plans;
    const training = await planTraining(like, config, first!.precision, run);
    // But for the weights, all of it is the same.
    const plans = plan.plans.map((one) => ({
      ...one,
      training: { ...training, bytes: training.bytes + one.disk - first!.disk },
    }));
    await tell({ ...plan, plans });
  } else if (known === undefined) {
    alone(id, async (own) => {
      const copy_gbps = own && (await measuredSpeed(own));
      if (copy_gbps !== undefined) await tell({ ...plan, copy_gbps });
    });
  }
}

async function rememberedSpeed({ adapter }: Gpu): Promise<number | undefined> {
  const memory = await AdapterMemory.open(adapter);
  const known = knownSpeed(memory);
  memory.close();
  return known;
}

async function measuredSpeed(gpu: Gpu): Promise<number | undefined> {
  const memory = await AdapterMemory.open(gpu.adapter);
  try {
    // Another plan may have measured it meanwhile.
    const known = knownSpeed(memory);
    if (known !== undefined) return known;
    const measured = await copySpeed(gpu);
    if (measured !== undefined) memory.set(SPEED, measured);
    return measured;
  } finally {
    memory.close();
  }
}

function knownSpeed(memory: AdapterMemory): number | undefined {
  const known = memory.get(SPEED);
  return typeof known === 'number' ? known : undefined;
}
