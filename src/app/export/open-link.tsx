import { useEffect, useState } from 'react';
import { loadSamples } from '../ask/sample-list';
import { useActions } from '../ask/use-actions';
import { Icon } from '../shared/icon';
import { ErrorMessage } from '../shared/message';
import { useServices } from '../store/app-services';
import { DEFAULT_DRAFT } from '../store/draft';
import { parseLink, type QuestionLink } from './question-link';

type Outcome = { kind: 'opened'; problems: string[] } | { kind: 'failed'; message: string };

/** Opens what the address's hash links to, now and when it changes; says what came of it. */
export function OpenedLink() {
  const outcome = useLink();
  const [closed, setClosed] = useState<Outcome>();
  if (!outcome || outcome === closed) return null;
  const close = (
    <button type="button" className="btn q" onClick={() => setClosed(outcome)}>
      Close
    </button>
  );
  if (outcome.kind === 'failed') {
    return (
      <ErrorMessage
        error={{ code: 'link', title: 'This link cannot be opened.', message: outcome.message }}
        icon="link"
      >
        {close}
      </ErrorMessage>
    );
  }
  if (outcome.problems.length > 0) {
    return (
      <ErrorMessage
        error={{ code: 'link', title: 'This link is damaged.', message: outcome.problems.join(' ') }}
        icon="link"
        tone="warn"
      >
        {close}
      </ErrorMessage>
    );
  }
  return (
    <p className="row t2 sm link-note" role="status">
      <Icon name="link" size={14} />
      <span>Clip, question, settings and seed come from a link. Press Ask to see the answer.</span>
      <button type="button" className="ib small sp" aria-label="Close" onClick={() => setClosed(outcome)}>
        <Icon name="x" size={12} />
      </button>
    </p>
  );
}

function useLink(): Outcome | undefined {
  const { draft, view } = useServices();
  const { openSample } = useActions();
  const [outcome, setOutcome] = useState<Outcome>();
  useEffect(() => {
    const open = async (link: QuestionLink) => {
      const clip = (await loadSamples()).find(({ fileName }) => fileName === link.clip);
      if (!clip)
        throw new Error(`There is no sample clip ${link.clip} here any more. Your own question is kept.`);
      view.setState({ sampling: link.sampling });
      draft.setState(
        {
          mode: link.options.length > 0 ? 'choice' : 'free',
          text: link.text,
          options: link.options.length > 0 ? link.options : DEFAULT_DRAFT.options,
          ...(link.label === undefined ? {} : { label: link.label }),
          fromSample: false,
          reasoning: link.reasoning,
          num_generations: link.num_generations,
          settings: link.settings,
        },
        true,
      );
      await openSample(clip);
    };
    const follow = () => {
      const parsed = parseLink(location.hash, { settings: DEFAULT_DRAFT.settings });
      if (!parsed) return;
      const { link, problems } = parsed;
      // A link is taken once: a reload brings back what the user made of it since.
      history.replaceState(null, '', location.pathname + location.search);
      if (!link) {
        setOutcome({ kind: 'failed', message: `${problems.join(' ')} Your own question is kept.` });
        return;
      }
      open(link).then(
        () => setOutcome({ kind: 'opened', problems }),
        (cause: unknown) =>
          setOutcome({ kind: 'failed', message: cause instanceof Error ? cause.message : String(cause) }),
      );
    };
    follow();
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [draft, view, openSample]);
  return outcome;
}
