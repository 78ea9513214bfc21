import { probeMemory } from '../../gpu/probe-memory';
import { type MemoryPlan, planMemory } from '../../grpo/memory-plan';
import { buildPrompt, withOptions } from '../../model/prompt';
import type { Session } from '../session';
import type { RunConfig } from '../training-protocol';

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
 * where there is no room for them, the plan says what would fit; nothing else may allocate meanwhile.
 */
export async function planRunMemory(
  { gpu, model }: Session,
  { stage, grpo, lora }: RunConfig,
  probe: boolean,
): Promise<MemoryPlan> {
  const text = model.tokenizer.encodePrompt(buildPrompt(LONG_QUESTION)).length - 1;
  const run = { stage, grpo, lora, prompt_rows: text + model.config.connector.num_queries };
  const { budget: set } = gpu.memory;
  const start = { gpu, model };
  if (Number.isFinite(set)) return planMemory(run, { ...start, budget: { bytes: set, source: 'set' } });
  const plan = await planMemory(run, start);
  if (!probe) return plan;
  const found = await probeMemory(gpu, plan.bytes);
  if (found >= plan.bytes) return plan;
  return planMemory(run, { ...start, budget: { bytes: found, source: 'probed' } });
}
