import { RecordedList } from '../recorded/recorded-list';
import { ProgressBar } from '../shared/progress-bar';
import { useEngine } from '../store/app-services';
import { EngineErrors } from './engine-errors';

/** The middle column before the first question: what to do, how far the model is, what is wrong. */
export function EmptyAnswer() {
  const model = useEngine((state) => state.model);
  const frames = model.info?.frames;
  return (
    <div className="empty">
      <h2 className="title">
        {model.recorded ? 'Ask to see a recorded answer' : 'Ask to see the model think'}
      </h2>
      <ol className="steps t2">
        <li>
          Drop a video, or take a sample clip. {frames ? `${frames} frames of it` : 'A few frames of it'} are
          what the model sees.
        </li>
        <li>Write a question. Options make it multiple choice.</li>
        <li>
          Press Ask. The thought streams here, token by token; moments in which the model checks itself are
          marked.
        </li>
      </ol>
      {model.status === 'loading' && (
        <ProgressBar progress={model.progress} fallback={`Loading ${model.name}`} />
      )}
      {model.recorded && <RecordedList />}
      <EngineErrors scopes={['gpu', 'model', 'ask']} />
    </div>
  );
}
