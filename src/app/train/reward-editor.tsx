import { useId, useState } from 'react';
import { formatSigned, signTone } from '../shared/format';
import type { ScoreInput } from './reward-sandbox';
import { useRecord, useTrainServices } from './train-services';

/** Texts to try a function on where the run has not written any. */
const EXAMPLES: readonly ScoreInput[] = [
  {
    completion: '<think>The red circle starts at the top. So it moves down.</think><answer>B</answer>',
    tokens: 24,
  },
  {
    completion:
      '<think>I think it is left. Wait, let me look again. So it moves down.</think><answer>B</answer>',
    tokens: 31,
  },
  { completion: '<think>The blue square moves right.</think><answer>C</answer>', tokens: 17 },
  { completion: 'I think it is left. I think it is left. I think', tokens: 96 },
].map((one) => ({
  ...one,
  problem: 'Which way does the red circle move?\nOptions:\nA. left\nB. down\nC. right\nD. up',
  solution: '<answer>B</answer>',
}));

/** The user's reward function, and what it gives for some texts. */
export function RewardEditor({
  code,
  locked,
  onChange,
}: {
  code: string;
  locked: boolean;
  onChange: (code: string) => void;
}) {
  const id = useId();
  const { sandbox } = useTrainServices();
  const completions = useRecord()?.completions;
  const [tried, setTried] = useState<{ texts: readonly ScoreInput[]; scores?: number[]; error?: string }>();
  const [busy, setBusy] = useState(false);
  const tryIt = async () => {
    const texts = completions?.length
      ? completions.slice(-4).map(({ completion, prompt, solution, tokens }) => ({
          completion,
          problem: prompt,
          solution: `<answer>${solution}</answer>`,
          tokens,
        }))
      : EXAMPLES;
    setBusy(true);
    try {
      setTried({ texts, scores: await sandbox.score(code, texts) });
    } catch (error) {
      setTried({ texts, error: (error as Error).message });
    }
    setBusy(false);
  };
  return (
    <div className="reward-editor" data-testid="reward-editor">
      <label htmlFor={id} className="xs t3">
        JavaScript, run apart from the page: no network, no storage, one second for a group
      </label>
      <textarea
        id={id}
        className="code"
        rows={8}
        spellCheck={false}
        autoCapitalize="off"
        readOnly={locked}
        value={code}
        onChange={(event) => onChange(event.target.value)}
      />
      <button type="button" className="btn small" disabled={busy} onClick={() => void tryIt()}>
        Try it
      </button>
      {tried && (
        <div role="status" data-testid="reward-tried">
          {tried.error !== undefined && <p className="field-problem">{tried.error}</p>}
          {tried.scores && (
            <ul className="reward-tried">
              {tried.scores.map((score, place) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the list does not change its order
                <li key={place}>
                  <span className="ell xs t2" title={tried.texts[place]!.completion}>
                    {tried.texts[place]!.completion}
                  </span>
                  <b className={`xs ${signTone(score)}`}>{formatSigned(score)}</b>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
    </div>
  );
}
