import { useState } from 'react';
import { formatBytes } from '../shared/format';
import { useDesk, useEngine, useServices } from '../store/app-services';
import { createSetupStore } from '../train/setup-store';
import type { ChosenPlan } from './plan-choice';
import { trainingRefusal } from './plan-facts';

/** What training the model would take with the Train page's settings: counted when it is asked for. */
export function PlanTraining({ chosen: { training } }: { chosen: ChosenPlan }) {
  const { client, draft } = useServices();
  const adapter = useEngine(({ gpu }) => gpu?.adapter);
  const ready = useEngine(({ model }) => model.status === 'ready' && !model.recorded);
  const [asked, setAsked] = useState(false);
  const error = useDesk(({ plan }) => plan?.trainingError);
  const [{ grpo, lora }] = useState(() => createSetupStore().getState().config);
  const settings = `G ${grpo.num_generations}, ${grpo.max_completion_length} new tokens, rank ${lora.r}`;
  const refusal = training && trainingRefusal(training, adapter);
  const ask = () => {
    setAsked(true);
    const { num_generations, settings: answer } = draft.getState();
    client.desk.planTraining({ num_generations, max_new_tokens: answer.max_new_tokens }, { grpo, lora });
  };
  return (
    <>
      <p className="plan-line row sm" data-testid="plan-training">
        <span className="med">Training</span>
        <span className="t3">{settings}</span>
        {training ? (
          <span className="sp t2">{formatBytes(training.bytes)} on the GPU at most</span>
        ) : asked && !error ? (
          <span className="sp t3" role="status">
            Counting
          </span>
        ) : (
          <button type="button" className="btn q sp" disabled={!ready} onClick={ask}>
            {error ? 'Count again' : 'Count its memory'}
          </button>
        )}
      </p>
      {(refusal || error) && (
        <p className="plan-reason sm warn" role="status">
          {refusal || `The memory of training could not be counted: ${error?.message}`}
        </p>
      )}
    </>
  );
}
