import { formatDuration } from '../shared/format';
import { ProgressBar } from '../shared/progress-bar';
import type { Shown } from '../store/app-services';

/** Where the time went: reading the file, encoding its frames, prefill, thinking. Widths are shares of time. */
export function StageBar({ answer, sample }: Shown) {
  const { stats } = sample;
  const stages = [
    { name: 'read', ms: answer.readMs },
    { name: 'frames', ms: answer.encodeMs },
    { name: 'prefill', ms: stats?.prefillMs },
    { name: answer.question.reasoning ? 'think' : 'write', ms: stats?.decodeMs, strong: true },
  ].filter((stage): stage is { name: string; ms: number; strong?: boolean } => (stage.ms ?? 0) > 0);
  const total = stages.reduce((sum, stage) => sum + stage.ms, 0);
  return (
    <div className="stage">
      {sample.status === 'prefill' ? (
        <ProgressBar
          progress={answer.progress}
          fallback={
            answer.fork
              ? `The model goes back to token ${answer.fork.position + 1}`
              : 'Prefill: the model reads frames and question'
          }
        />
      ) : (
        <ol className="stages" aria-label="Where the time went">
          {stages.map((stage) => (
            <li
              key={stage.name}
              style={{ flexGrow: Math.max(stage.ms / total, 0.02) }}
              title={`${stage.name} ${formatDuration(stage.ms)}`}
            >
              <i className={stage.strong ? 'strong' : ''} />
              <span>
                {stage.name} {stage.ms / total > 0.1 ? formatDuration(stage.ms) : ''}
              </span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
