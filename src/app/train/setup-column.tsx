import { useState } from 'react';
import type { RunConfig } from '../../worker/training-protocol';
import { Icon } from '../shared/icon';
import { Segmented } from '../shared/segmented';
import { useEngine } from '../store/app-services';
import { ConfigForm } from './config-form';
import { DataChoice } from './data-choice';
import { MemoryPlanView, type Planned } from './memory-plan';
import { PRESETS } from './presets';
import { RewardList } from './reward-list';
import { liveProblems, runProblems } from './run-problems';
import { changeConfig, choosePreset } from './setup-store';
import { useRecord, useSetup, useTraining, useTrainServices } from './train-services';
import { canResume, isActive, type RunRecord } from './training-state';
import { useRunActions } from './use-run-actions';

/** The settings: those of the run that is shown, or of the next one. */
export function SetupColumn({ planned }: { planned: Planned }) {
  const record = useRecord();
  const shown = useTraining((state) => state.shown);
  const config = useSetup((setup) => setup.config);
  return (
    <section className="col left" aria-label="Setup" data-testid="setup">
      <div className="setup-scroll">
        {record ? <RunSetup key={shown} record={record} /> : shown ? null : <NewSetup />}
      </div>
      {(record || !shown) && (
        <MemoryPlanView planned={planned} answers={(record?.config ?? config).grpo.num_generations} />
      )}
    </section>
  );
}

function NewSetup() {
  const { setup } = useTrainServices();
  const preset = useSetup((state) => state.preset);
  const yours = useSetup((state) => state.yours);
  const config = useSetup((state) => state.config);
  const problems = runProblems(config);
  const change = (part: Partial<RunConfig>) => setup.setState((state) => changeConfig(state, part), true);
  return (
    <>
      <div className="sec">
        <h2 className="h setup-head">Setup</h2>
        <Segmented
          label="Preset"
          value={preset}
          options={PRESETS.filter(({ name }) => name !== 'yours' || yours || preset === 'yours').map(
            ({ name, label, what }) => ({ value: name, label, title: what }),
          )}
          onChange={(name) => setup.setState((state) => choosePreset(state, name), true)}
        />
        <DataChoice />
        <StageChoice config={config} onChange={change} />
        <BaseNote />
      </div>
      <div className="sec cf-form">
        <ConfigForm config={config} problems={problems} mode="open" onChange={change} />
        {config.stage === 'grpo' && (
          <RewardList
            config={config}
            problem={problems.rewards}
            lengthProblem={problems.max_length_reward}
            locked={false}
            onChange={change}
          />
        )}
      </div>
    </>
  );
}

function StageChoice({
  config,
  onChange,
}: {
  config: RunConfig;
  onChange: (part: Partial<RunConfig>) => void;
}) {
  return (
    <Segmented
      label="Stage"
      value={config.stage}
      options={[
        {
          value: 'grpo',
          label: 'GRPO',
          title: 'Reinforcement learning: answers are sampled, scored and compared',
        },
        {
          value: 'cold-start',
          label: 'Cold start',
          title: 'The paper’s first stage: cross-entropy on given traces',
        },
      ]}
      onChange={(stage) => onChange({ stage })}
    />
  );
}

/** The toy model that answers well has little left to learn: its sibling for reinforcement learning guesses a lot. */
function BaseNote() {
  const data = useSetup((setup) => setup.data);
  const model = useEngine((state) => state.model);
  const { loadToyBase, isToyBase, isToy } = useRunActions();
  if (data !== 'toy' || !model.name || isToyBase(model)) return null;
  return (
    <p className="xs t3 base-note">
      {isToy(model) ? `${model.name} is trained already. ` : `${model.name} was not made for the toy world. `}
      <button type="button" className="link" onClick={loadToyBase}>
        Load the toy base
      </button>
      , which still guesses and can learn.
    </p>
  );
}

function RunSetup({ record }: { record: RunRecord }) {
  const { training } = useTrainServices();
  const live = useTraining((state) => state.live);
  const { run, config, changes } = record;
  const own = live?.run === run.run ? live : undefined;
  const active = isActive(own);
  const paused = canResume(own?.state ?? run.state);
  const open = active || paused;
  const [refused, setRefused] = useState<Readonly<Record<string, string>>>({});
  const change = ({ grpo }: Partial<RunConfig>) => {
    if (!grpo) return;
    const { learning_rate, beta, max_steps } = grpo;
    const changed = {
      ...(learning_rate === config.grpo.learning_rate ? {} : { learning_rate }),
      ...(beta === config.grpo.beta ? {} : { beta }),
      ...(max_steps === config.grpo.max_steps ? {} : { max_steps }),
    };
    // What the engine would refuse is not sent, and the field says why.
    const problems = liveProblems({ ...config, grpo }, run.step);
    setRefused(problems);
    if (Object.keys(problems).length > 0) return;
    if (paused) training.setChanges(run.run, changed);
    else if (Object.keys(changed).length > 0) training.change(run.run, changed);
  };
  const data = { toy: 'Toy world, endless', files: 'A JSONL file and videos', own: 'Questions of your own' }[
    run.data
  ];
  return (
    <>
      <div className="sec">
        <div className="row setup-head">
          <h2 className="h">Setup</h2>
          <span className="sp xs t3 row">
            <Icon name="lock" size={12} />
            {active ? 'locked while running' : `of ${run.name}`}
          </span>
        </div>
        <p className="pill setup-data">
          {data}
          <span className="t3 sm sp">{run.stage === 'grpo' ? 'GRPO' : 'cold start'}</span>
        </p>
      </div>
      <div className="sec cf-form">
        <ConfigForm
          config={{ ...config, grpo: { ...config.grpo, ...changes } }}
          problems={open ? refused : {}}
          mode={open ? 'live' : 'locked'}
          onChange={change}
        />
        {config.stage === 'grpo' && (
          <RewardList
            config={config}
            problem={undefined}
            lengthProblem={undefined}
            locked
            onChange={() => {}}
          />
        )}
        {open && (
          <p className="xs t3">
            {active
              ? 'Outlined values can change while the run is live.'
              : 'Outlined values can change: they hold once the run goes on.'}
          </p>
        )}
      </div>
    </>
  );
}
