import type { ModelPlan } from '../../worker/model-protocol';
import { formatBytes } from '../shared/format';
import { useEngine } from '../store/app-services';
import type { ChosenPlan } from './plan-choice';
import { mostTokens } from './plan-facts';

/** How fast the model could answer at most, by the adapter's measured speed. */
export function PlanSpeed({ plan: { copy_gbps }, chosen }: { plan: ModelPlan; chosen: ChosenPlan }) {
  const cpu = useEngine(({ gpu }) => gpu?.adapter.isFallback ?? false);
  return (
    <p className="plan-line row sm" data-testid="plan-speed">
      <span className="med">Answering</span>
      <span className="t3">
        {formatBytes(chosen.tokenBytes)} read for a token
        {copy_gbps === undefined ? '' : `, ${formatBytes(copy_gbps * 1e9)}/s measured here`}
      </span>
      {copy_gbps === undefined ? (
        <span className="sp t3">The speed is measured when the GPU is free</span>
      ) : (
        <span className="sp t2">
          at most {mostTokens(chosen, copy_gbps)} tokens a second
          {cpu ? ', far fewer on this CPU adapter' : ''}
        </span>
      )}
    </p>
  );
}
