import { useState } from 'react';
import type { RewardSetting, RunConfig } from '../../worker/training-protocol';
import { ConfigRow, NumberSetting } from './config-row';
import { RewardEditor } from './reward-editor';
import { rewardsLength } from './run-problems';
import { EXPLANATIONS, REWARD_EXPLANATIONS } from './setup-groups';

/** What a new reward function of the user's begins as. */
const FIRST_CODE = `// completion: the whole text. solution: "<answer>B</answer>"
function my_reward(completion, { problem, solution, tokens }) {
  return completion.includes(solution) ? 1 : 0;
}
`;

const NAMES = Object.keys(REWARD_EXPLANATIONS) as RewardSetting['name'][];

/** The rewards of a run, each with its weight, and the user's own. */
export function RewardList({
  config,
  problem,
  lengthProblem,
  locked,
  onChange,
}: {
  config: RunConfig;
  problem: string | undefined;
  lengthProblem: string | undefined;
  locked: boolean;
  onChange: (change: Partial<RunConfig>) => void;
}) {
  const [editing, setEditing] = useState(false);
  const { rewards } = config;
  const set = (next: RewardSetting[]) =>
    onChange({ rewards: NAMES.flatMap((name) => next.filter((one) => one.name === name)) });
  const toggle = (name: RewardSetting['name'], on: boolean) => {
    const rest = rewards.filter((one) => one.name !== name);
    set(on ? [...rest, { name, weight: 1, ...(name === 'user_reward' ? { code: FIRST_CODE } : {}) }] : rest);
    if (name === 'user_reward') setEditing(on);
  };
  const own = rewards.find(({ name }) => name === 'user_reward');
  return (
    <fieldset className="cf-group" data-testid="rewards">
      <legend>Rewards and their weights</legend>
      {NAMES.filter((name) => !locked || rewards.some((one) => one.name === name)).map((name) => {
        const setting = rewards.find((one) => one.name === name);
        return (
          <div key={name} className="reward-row">
            {!locked && (
              <input
                type="checkbox"
                aria-label={`Use ${name}`}
                checked={setting !== undefined}
                onChange={(event) => toggle(name, event.target.checked)}
              />
            )}
            <ConfigRow name={name} explanation={REWARD_EXPLANATIONS[name]}>
              {(ids) =>
                setting ? (
                  <NumberSetting
                    ids={ids}
                    locked={locked}
                    value={setting.weight}
                    onChange={(weight) =>
                      set(rewards.map((one) => (one.name === name ? { ...one, weight } : one)))
                    }
                  />
                ) : (
                  <span />
                )
              }
            </ConfigRow>
          </div>
        );
      })}
      {problem && (
        <p className="field-problem" role="status">
          {problem}
        </p>
      )}
      {own && (
        <button
          type="button"
          className="btn small reward-edit"
          aria-expanded={editing}
          onClick={() => setEditing(!editing)}
        >
          {editing ? 'Close the editor' : locked ? 'Show the code' : 'Edit the code'}
        </button>
      )}
      {own && editing && (
        <RewardEditor
          code={own.code ?? ''}
          locked={locked}
          onChange={(code) => set(rewards.map((one) => (one === own ? { ...one, code } : one)))}
        />
      )}
      {rewardsLength(config) && (
        <ConfigRow
          name="max_length_reward"
          explanation={EXPLANATIONS.max_length_reward}
          problem={lengthProblem}
        >
          {(ids) => (
            <NumberSetting
              ids={ids}
              locked={locked}
              value={config.max_length_reward}
              onChange={(max_length_reward) => onChange({ max_length_reward })}
            />
          )}
        </ConfigRow>
      )}
    </fieldset>
  );
}
