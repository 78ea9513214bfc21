import type { KeptModel, ModelPlan } from '../../worker/model-protocol';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { useDesk, useEngine, useModels } from '../store/app-services';
import { aboutTime } from './load-speed';
import type { ChosenPlan } from './plan-choice';
import { type Fit, freeRoom, sentence } from './plan-facts';

/** What happens after the press of the button, and what was checked. */
export function PlanSteps({
  plan,
  chosen,
  fit,
  kept,
  download,
}: {
  plan: ModelPlan;
  chosen: ChosenPlan;
  fit: Fit;
  /** What is there of it already. */
  kept: KeptModel | undefined;
  download: boolean;
}) {
  const room = useDesk((desk) => desk.room);
  const current = useEngine(({ model }) => (model.status === 'ready' ? model.name : undefined));
  const speed = useModels((models) => (download && !kept?.complete ? models.speed : undefined));
  // Of what is kept in fewer bits, the files had more.
  const rest = plan.download * (1 - Math.min(1, (kept?.bytes ?? 0) / chosen.disk));
  const steps: [name: string, size: string, note: string][] = [];
  if (!kept?.complete) {
    steps.push([
      download ? 'Download' : 'Read the files',
      formatBytes(plan.download),
      [
        ...(speed ? [`${sentence(aboutTime(rest / speed))}.`] : []),
        kept
          ? `Goes on where it stopped: ${formatBytes(kept.bytes)} are kept.`
          : fit.notKept
            ? 'After a stop it begins anew.'
            : download
              ? 'Can be stopped. Goes on after a closed tab.'
              : 'Can be stopped. Goes on when the files are chosen again.',
      ].join(' '),
    ]);
    if (chosen.preset !== 'f32')
      steps.push([
        chosen.preset ? `Convert to ${chosen.preset}` : 'Convert',
        '',
        'On your GPU, tensor by tensor, while it is loaded.',
      ]);
    if (!fit.notKept)
      steps.push([
        'Keep',
        formatBytes(chosen.disk),
        `In this browser: the next visit ${download ? 'downloads nothing' : 'needs no files'}.`,
      ]);
  }
  steps.push([
    'Load',
    formatBytes(chosen.bytes),
    current
      ? `${current} stays until it is there, or goes earlier where the GPU has no room for both.`
      : 'Then the model answers.',
  ]);
  const checks = [
    ...(room && !fit.notKept
      ? [`Storage: ${formatBytes(chosen.disk)} of ${formatBytes(freeRoom(room))}`]
      : []),
    ...(fit.fits ? [`Largest tensor: ${formatBytes(chosen.largest.bytes)}, fits one buffer`] : []),
  ];
  return (
    <div className="plan-steps">
      <div className="row">
        <h4>What happens next</h4>
        {speed !== undefined && (
          <span className="sp t3 sm">{formatBytes(speed)}/s was the speed of your last download</span>
        )}
      </div>
      <ol>
        {steps.map(([name, size, note], i) => (
          <li key={name}>
            <span className="t3">{i + 1}</span>
            <span className="med">{name}</span>
            <span className="t2">{size}</span>
            <span className="t3 sm">{note}</span>
          </li>
        ))}
      </ol>
      <p className="plan-checks sm t2">
        {checks.map((text) => (
          <span key={text} className="row">
            <span className="ok">
              <Icon name="check" size={13} />
            </span>
            {text}
          </span>
        ))}
        <span className="t3">How much memory the GPU has in all, no browser says.</span>
      </p>
    </div>
  );
}
