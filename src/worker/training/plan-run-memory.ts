import type { GenerationError } from '../../generate/errors';
import { GpuMemoryError } from '../../gpu/errors';
import { probeMemory } from '../../gpu/probe-memory';
import { type MemoryPlan, planMemory } from '../../grpo/memory-plan';
import { buildPrompt, withOptions } from '../../model/prompt';
import type { Session } from '../session';
import type { PlannedData, RunConfig } from '../training-protocol';
import { SIDE_BY_SIDE } from './held-out-check';

/** As long as the questions of the original's data and of the toy world are, or a little longer. */
const LONG_QUESTION = withOptions(
  'Why did the boy in the blue shirt turn around and walk back after he had reached the end of the path?',
  [
    'he wanted to pick up the ball that he had dropped',
    'the other children called him to come and play',
    'a dog ran after him from the other side',
    'he had seen that the gate was closed',
    'to show his mother what he had found',
  ],
);

/**
 * Plans a run's memory with the session's model. With `probe`, the bytes of the plan are allocated once and freed, and
 * where there is no room for them, the plan says what would fit; nothing else may allocate meanwhile. `most` is what the
 * GPU is known to give, in bytes.
 */
export async function planRunMemory(
  { gpu, model }: Pick<Session, 'gpu' | 'model'>,
  { stage, grpo, lora, eval_questions }: RunConfig,
  {
    probe,
    data,
    most = Number.POSITIVE_INFINITY,
  }: { probe: boolean; data?: PlannedData | undefined; most?: number },
): Promise<MemoryPlan> {
  const text = model.tokenizer.encodePrompt(buildPrompt(data?.longest ?? LONG_QUESTION)).length - 1;
  const prompt_rows = text + model.config.connector.num_queries;
  const held_out = Math.min(SIDE_BY_SIDE, eval_questions, data?.held_out ?? SIDE_BY_SIDE);
  const run = { stage, grpo, lora, prompt_rows, held_out };
  const { budget: set } = gpu.memory;
  const start = { gpu, model };
  if (Number.isFinite(set))
    return planMemory(run, { ...start, budget: { bytes: Math.min(most, set), source: 'set' } });
  const plan = await planMemory(run, start);
  if (!probe) return plan;
  const found = Math.min(most, await probeMemory(gpu, plan.bytes));
  if (found >= plan.bytes) return plan;
  return planMemory(run, { ...start, budget: { bytes: found, source: 'probed' } });
}

/**
 * What of a run's settings would fit, each alone enough, after it ran out of memory and gave back what it held.
 * Nothing where none would, or where the GPU does not answer any more.
 */
export async function roomySettings(
  session: Session,
  config: RunConfig,
  noRoom: GpuMemoryError | GenerationError,
  data: PlannedData | undefined,
): Promise<Pick<MemoryPlan, 'suggestions'>> {
  const refused = noRoom.cause ?? noRoom;
  const found = async (most?: number) => {
    const { suggestions = {} } = await planRunMemory(session, config, {
      probe: true,
      data,
      ...(most ? { most } : {}),
    });
    return Object.keys(suggestions).length > 0 ? { suggestions } : undefined;
  };
  try {
    const now = await found();
    // Free now, and in use by others then: what the run held is what can be counted on.
    return now ?? (refused instanceof GpuMemoryError ? await found(refused.usedBytes) : undefined) ?? {};
  } catch {
    return {};
  }
}
