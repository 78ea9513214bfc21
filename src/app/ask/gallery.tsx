import { useState } from 'react';
import { useEngine } from '../store/app-services';
import type { Sample } from './sample-list';
import { useOpenSample, useSamples } from './samples';
import { useActions } from './use-actions';

/** The sample clips, each with its still; a click opens it with its first question. */
export function Gallery() {
  const { samples, failed } = useSamples();
  const { openSample } = useActions();
  const open = useOpenSample()?.url;
  const compact = useEngine((state) => state.video !== undefined);
  const [fetching, setFetching] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const take = (sample: Sample) => {
    setFetching(sample.url);
    setProblem(undefined);
    openSample(sample)
      .catch((cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        setProblem(
          `“${sample.title}” could not be fetched. ${why} Try it again, or open a video of your own.`,
        );
      })
      .finally(() => setFetching(undefined));
  };
  if (failed) return <p className="t3 sm">The list of sample clips could not be read.</p>;
  if (samples?.length === 0) return null;
  return (
    <section className={`gallery ${compact ? 'compact' : ''}`} aria-label="Sample clips">
      <h3 className="h">Sample clips</h3>
      <ul>
        {samples?.map((sample) => (
          <li key={sample.url}>
            <button
              type="button"
              className={`clip ${sample.url === open ? 'on' : ''}`}
              data-testid="gallery-item"
              title={`${sample.title}: ${sample.questions.length} questions`}
              aria-label={sample.title}
              aria-current={sample.url === open ? 'true' : undefined}
              aria-busy={fetching === sample.url}
              onClick={() => take(sample)}
            >
              <img src={sample.poster} alt="" width={128} height={128} loading="lazy" decoding="async" />
              <span className="ell">{fetching === sample.url ? 'fetching' : sample.title}</span>
            </button>
          </li>
        ))}
      </ul>
      {problem && (
        <p className="field-problem" role="alert" data-testid="error">
          {problem}
        </p>
      )}
    </section>
  );
}
