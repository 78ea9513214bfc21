import { useEffect, useState } from 'react';
import type { MemoryPlan, PlannedData, RunConfig } from '../../worker/training-protocol';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { useEngine } from '../store/app-services';
import { runProblems } from './run-problems';
import { useTrainServices } from './train-services';

const PARTS: Record<MemoryPlan['parts'][number]['name'], { label: string; colour: string }> = {
  weights: { label: 'weights', colour: '--c1' },
  lora: { label: 'LoRA and Adam', colour: '--c2' },
  'prefix-cache': { label: 'shared prefix cache', colour: '--c3' },
  'answer-caches': { label: 'answer caches', colour: '--c4' },
  backward: { label: 'backward buffers', colour: '--c6' },
  other: { label: 'other', colour: '--c5' },
};

/** What a run of these settings takes; or why the engine does not say. */
export interface Planned {
  plan?: MemoryPlan;
  /** The settings that it is about: while others are planned, the last plan stays in sight. */
  of?: RunConfig;
  problem?: string;
}

/** What a run of these settings takes, as the engine plans it. Empty while it has not said. */
export function useMemoryPlan(config: RunConfig, data: PlannedData | undefined): Planned {
  const { training } = useTrainServices();
  const ready = useEngine(({ model }) => model.status === 'ready' && !model.recorded);
  const modelId = useEngine(({ model }) => model.id);
  const [planned, setPlan] = useState<Planned>({});
  // biome-ignore lint/correctness/useExhaustiveDependencies: another model takes other memory
  useEffect(() => {
    if (!ready || Object.keys(runProblems(config)).length > 0) return setPlan({});
    let stale = false;
    // Typing asks once it rests.
    const timer = setTimeout(() => {
      training.planMemory(config, data).then(
        (plan) => !stale && setPlan({ plan, of: config }),
        (error: Error) => !stale && setPlan({ problem: error.message }),
      );
    }, 300);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [config, data, ready, modelId, training]);
  return planned;
}

/** The plan as a bar of its parts. */
export function MemoryPlanView({
  planned: { plan, problem },
  answers,
}: {
  planned: Planned;
  answers: number;
}) {
  const ready = useEngine(({ model }) => model.status === 'ready');
  const counted = useEngine((state) => state.memory);
  const training = useEngine((state) => state.training);
  const budget = plan?.budget?.bytes;
  const whole = Math.max(budget ?? 0, plan?.bytes ?? 0);
  const parts = plan?.parts.filter(({ bytes }) => bytes > 0) ?? [];
  const tooLarge = plan !== undefined && plan.largestBuffer > plan.maxBufferSize;
  return (
    <div className="sec last memory-plan" data-testid="memory-plan">
      <div className="row">
        <h2 className="h">Memory plan</h2>
        <span className="sp sm">
          {plan ? (
            <>
              <b className={`med ${budget !== undefined && plan.bytes > budget ? 'neg' : ''}`}>
                {formatBytes(plan.bytes)}
              </b>{' '}
              <span
                className="t3"
                title={
                  plan.budget?.source === 'set'
                    ? 'As you set it'
                    : 'As far as allocating under an error scope went: a browser does not tell the GPU’s memory'
                }
              >
                {budget === undefined
                  ? ''
                  : `of ${formatBytes(budget)} ${plan.budget?.source === 'set' ? 'set' : 'budget'}`}
              </span>
            </>
          ) : (
            <span className="t3">{ready ? '' : 'once a model is loaded'}</span>
          )}
        </span>
      </div>
      {problem && <p className="xs t3">{problem}</p>}
      {plan && (
        <>
          <div className="mem" aria-hidden="true">
            {parts.map(({ name, bytes }) => (
              <i
                key={name}
                style={{ width: `${(bytes / whole) * 100}%`, background: `var(${PARTS[name].colour})` }}
              />
            ))}
          </div>
          <ul>
            {parts.map(({ name, bytes }) => (
              <li key={name} className="ml">
                <i style={{ background: `var(${PARTS[name].colour})` }} />
                <span>{name === 'answer-caches' ? `${answers} answer caches` : PARTS[name].label}</span>
                <span>{formatBytes(bytes)}</span>
              </li>
            ))}
          </ul>
          <p className={`xs row ${tooLarge ? 'warn-text' : 't2'}`}>
            {!tooLarge && (
              <span className="ok-text">
                <Icon name="check" size={13} weight={1.8} />
              </span>
            )}
            Largest buffer {formatBytes(plan.largestBuffer)} of {formatBytes(plan.maxBufferSize)} allowed
          </p>
          {training && counted && (
            <p className="xs t3">
              Counted now {formatBytes(counted.bytes)}, at most {formatBytes(counted.peakBytes)}
            </p>
          )}
        </>
      )}
    </div>
  );
}
