import type { Progress } from '../store/engine-state';

/** A bar with a count. Without a total it shows the words alone: no bar pretends to know. */
export function ProgressBar({ progress, fallback }: { progress: Progress | undefined; fallback: string }) {
  const label = progress?.label ?? fallback;
  const known = progress !== undefined && progress.total > 0;
  const share = known ? Math.min(1, progress.done / progress.total) : 0;
  return (
    <div className="progress">
      <span className="t3 sm">
        {label}
        {known ? `, ${Math.round(share * 100)} %` : ''}
      </span>
      <progress className="hidden" aria-label={label} {...(known ? { value: share } : {})} />
      {known && (
        <div className="track" aria-hidden="true">
          <b style={{ width: `${share * 100}%` }} />
        </div>
      )}
    </div>
  );
}
