import { useEffect, useState } from 'react';
import { loadSamples } from '../ask/sample-list';
import { useActions } from '../ask/use-actions';
import type { TraceDocument } from '../export/trace-document';
import { Icon } from '../shared/icon';
import { useServices } from '../store/app-services';
import { LETTERS } from '../store/draft';
import { loadRecordings } from './recordings';

/** What was recorded, to choose from: a click opens the clip and fills in the question as it was asked. */
export function RecordedList() {
  const { draft, view } = useServices();
  const { openSample } = useActions();
  const [documents, setDocuments] = useState<TraceDocument[]>();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    let gone = false;
    loadRecordings(new URL('samples/', document.baseURI).href).then(
      (list) => gone || setDocuments(list),
      (cause: unknown) => gone || setProblem(cause instanceof Error ? cause.message : String(cause)),
    );
    return () => {
      gone = true;
    };
  }, []);
  const take = async ({ video, question, label, settings, samples }: TraceDocument) => {
    const clip = (await loadSamples()).find((sample) => sample.fileName === video.name);
    if (!clip) throw new Error(`${video.name} is no sample clip any more.`);
    view.setState({ sampling: video.sampling ?? 'uniform' });
    draft.setState(
      {
        mode: question.options.length > 0 ? 'choice' : 'free',
        text: question.text,
        options: question.options,
        ...(label ? { label: LETTERS.indexOf(label as (typeof LETTERS)[number]) } : {}),
        fromSample: false,
        reasoning: question.reasoning,
        num_generations: samples.length,
        settings,
      },
      true,
    );
    await openSample(clip);
  };
  return (
    <section className="recorded" aria-label="Recorded answers">
      <h3 className="h">Recorded answers</h3>
      <p className="t2 sm">
        Written by {documents?.[0]?.model.name ?? 'a model'} earlier, and played again at the recorded speed.
        Choose one, then press Ask.
      </p>
      {problem && (
        <p className="field-problem" role="alert">
          {problem}
        </p>
      )}
      <ul>
        {documents?.map((recorded) => (
          <li
            key={JSON.stringify([
              recorded.video.name,
              recorded.question,
              recorded.settings,
              recorded.samples.length,
            ])}
          >
            <button
              type="button"
              className="recorded-row"
              onClick={() =>
                void take(recorded).catch((cause: unknown) =>
                  setProblem(cause instanceof Error ? cause.message : String(cause)),
                )
              }
            >
              <span className="med">{recorded.question.text}</span>
              <span className="t3 sm">{recorded.video.name}</span>
              {recorded.samples.length > 1 && (
                <span className="chip n">{recorded.samples.length} answers</span>
              )}
              {hasAha(recorded) && (
                <span className="chip aha">
                  <Icon name="loop" size={12} />
                  checks itself
                </span>
              )}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function hasAha({ samples }: TraceDocument): boolean {
  return samples.some(({ trace }) => trace.sentences.some((sentence) => sentence.aha));
}
