import { group_advantages } from '../../grpo/group-advantages';
import { type LossInput, policyLoss } from '../../grpo/policy-loss';
import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward, lengthPart } from '../../grpo/rewards/format-reward';
import { scoreAnswer } from '../../grpo/rewards/signed-reward';
import { pythonStrip } from '../../model/python-text';
import { completionOffsets, type GrpoReference, originalLoss, tokenValues, trlLoss } from './grpo-reference';
import type { ReferenceTensors } from './reference';
import { F32_TOLERANCE, type StageList } from './report';

/** A loss and its gradient are differences of terms of order 1, recorded in float32. */
export const LOSS_TOLERANCE = 2e-6;

/** `grpo.*` without a model: rewards bit by bit, advantages, KL, every loss with its gradient, from recorded log-probs. */
export function verifyGrpo(list: StageList, meta: GrpoReference, grpo: ReferenceTensors): void {
  const { rows } = meta.rewards;
  const wrong = rows.filter(({ text, solution, accuracy, format, length, total }) => {
    const content = pythonStrip(text);
    const own = format_reward(content);
    return !(
      accuracy_reward(content, solution) === accuracy &&
      own === format &&
      lengthPart(own) === length &&
      scoreAnswer(text, solution).reward === total
    );
  });
  list.count('grpo.rewards', wrong.length, rows.length);
  const { rewards, noise_scale } = meta.loss;
  list.compare(
    'grpo.advantages',
    meta.advantages.flatMap((group) => group_advantages(group.rewards)),
    meta.advantages.flatMap((group) => group.advantages),
  );
  list.compare(
    'grpo.advantages.noise',
    group_advantages(rewards, { noise: grpo.f32('noise_standard_normal'), noise_scale }),
    grpo.f32('advantages'),
  );
  verifyKl(list, meta);
  const offsets = completionOffsets(meta.loss);
  const tokens = (name: string) => tokenValues(grpo.f32(name), meta.loss);
  const input: LossInput = {
    logps: tokens('policy_logps'),
    ref_logps: tokens('ref_logps'),
    offsets,
    advantages: [...grpo.f32('advantages')],
  };
  const original = policyLoss(input, originalLoss(meta));
  const still = [...grpo.f32('advantages_before_noise')];
  const quiet = policyLoss({ ...input, advantages: still }, originalLoss(meta));
  list.compare(
    'grpo.loss',
    [original.loss, quiet.loss],
    [meta.loss.original_loss, meta.loss.original_loss_with_zero_noise],
    LOSS_TOLERANCE,
    1,
  );
  list.compare('grpo.loss.d_logps', original.d_logps, tokens('grad.policy_logps'));
  for (const recorded of meta.trl.cases) {
    const old = recorded.old_logps === 'current' ? {} : { old_logps: tokens('trl.old_logps') };
    const { loss, d_logps, metrics } = policyLoss(
      { ...input, ...old, advantages: still },
      trlLoss(meta, recorded),
    );
    list.compare(`grpo.${recorded.name}`, [loss], [recorded.loss], LOSS_TOLERANCE, 1);
    if (grpo.has(`grad.${recorded.name}`))
      list.compare(`grpo.${recorded.name}.d_logps`, d_logps, tokens(`grad.${recorded.name}`));
    const names = Object.keys(recorded.metrics);
    if (names.length > 0)
      list.compare(
        `grpo.${recorded.name}.metrics`,
        names.map((name) => metrics[name as keyof typeof metrics] ?? Number.NaN),
        names.map((name) => recorded.metrics[name]!),
        LOSS_TOLERANCE,
        1,
      );
  }
}

/** KL values and their slopes, each relative to its own size. */
function verifyKl(list: StageList, meta: GrpoReference): void {
  const actual: number[] = [];
  const expected: number[] = [];
  for (const { logp, ref_logp, kl, dkl_dlogp } of meta.kl_table) {
    const { loss, d_logps } = policyLoss(
      { logps: [logp], ref_logps: [ref_logp], offsets: [0, 1], advantages: [0] },
      { ...originalLoss(meta), beta: 1 },
    );
    for (const [ours, recorded] of [
      [loss, kl],
      [d_logps[0]!, dkl_dlogp],
    ] as const) {
      const size = Math.max(1, Math.abs(recorded));
      actual.push(ours / size);
      expected.push(recorded / size);
    }
  }
  list.compare('grpo.kl_table', actual, expected, F32_TOLERANCE, 1);
}
