import { useState } from 'react';
import { ErrorMessage } from '../shared/message';
import { RewardEditor } from './reward-editor';
import { useTraining } from './train-services';
import type { RunRecord } from './training-state';
import { useRunActions } from './use-run-actions';

/** A reward function failed and the run stands still: it goes on with an edited one, or without the question. */
export function RewardFailed({ record: { run, config }, message }: { record: RunRecord; message: string }) {
  const { resume } = useRunActions();
  const busy = useTraining((state) => state.beginning === true);
  const own = config.rewards.find(({ name }) => name === 'user_reward')?.code;
  const [code, setCode] = useState<string>();
  return (
    <ErrorMessage
      error={{ code: 'reward-failed', title: 'The reward function failed.', message }}
      icon="x"
      testId="run-message"
    >
      {code !== undefined ? (
        <>
          <div className="reward-again">
            <RewardEditor code={code} locked={false} onChange={setCode} />
          </div>
          <button
            type="button"
            className="btn p"
            disabled={busy || code.trim() === ''}
            onClick={() => resume(run.run, { reward_code: code })}
          >
            Go on with this reward
          </button>
          <button type="button" className="btn q" onClick={() => setCode(undefined)}>
            Leave it as it was
          </button>
        </>
      ) : (
        <>
          {own !== undefined && (
            <button type="button" className="btn" onClick={() => setCode(own)}>
              Edit reward
            </button>
          )}
          <button
            type="button"
            className="btn"
            disabled={busy}
            onClick={() => resume(run.run, { skip_question: true })}
          >
            Skip this question
          </button>
          <button type="button" className="btn q" disabled={busy} onClick={() => resume(run.run)}>
            Try again
          </button>
        </>
      )}
    </ErrorMessage>
  );
}
