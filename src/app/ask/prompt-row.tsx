import { Segmented } from '../shared/segmented';
import { useDraft, useEngine, useServices } from '../store/app-services';

/** Which prompt is put around the question, and how long it is: frames and text. */
export function PromptRow({ locked }: { locked: boolean }) {
  const { draft } = useServices();
  const reasoning = useDraft((state) => state.reasoning);
  const info = useEngine((state) => state.model.info);
  const prompt = useEngine((state) => state.answers.at(-1)?.promptTokens);
  const sampled = useEngine((state) => state.video?.info?.sampledTimes.length);
  const frames = sampled ?? info?.frames;
  const share = info && prompt !== undefined ? Math.min(1, info.visualTokens / prompt) * 100 : undefined;
  return (
    <div className="prompt">
      <div className="row">
        <span className="xs t3" aria-hidden="true">
          Prompt
        </span>
        <Segmented
          label="Prompt"
          value={reasoning ? 'think' : 'direct'}
          disabled={locked}
          options={[
            {
              value: 'think',
              label: 'Think first',
              title:
                'Asks for a thought in <think> and an answer in <answer>, as TinyLLaVA-Video-R1 was trained',
            },
            {
              value: 'direct',
              label: 'Answer directly',
              title: "Asks for the option's letter at once: the prompt of the models that do not reason",
            },
          ]}
          onChange={(value) => draft.setState({ reasoning: value === 'think' })}
        />
        {info && (
          <span className="xs t3 sp">
            {prompt === undefined
              ? `${info.visualTokens} tokens from ${frames} frames, and the text`
              : `${prompt} tokens: ${info.visualTokens} of ${frames} frames, ${prompt - info.visualTokens} of text`}
          </span>
        )}
      </div>
      {share !== undefined && (
        <div className="bar" aria-hidden="true">
          <i className="visual" style={{ width: `${share}%` }} />
          <i className="grow" />
        </div>
      )}
    </div>
  );
}
