import { sampleOf } from '../ask/samples';
import { CopyButton } from '../shared/copy-button';
import { Dialog } from '../shared/dialog';
import { download } from '../shared/download';
import { Icon } from '../shared/icon';
import { useServices, useShown } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import { exportName, makeDocument } from './make-document';
import { traceMarkdown } from './markdown';
import { linkHash, parseLink, type QuestionLink } from './question-link';
import { documentJson } from './trace-document';

/** Downloads and copies of the shown answer, and a link to its question. */
export function ExportDialog() {
  const shown = useShown();
  return (
    <Dialog name="export" title="Export" className="middle">
      {shown ? <Export answer={shown.answer} /> : <p className="t2">There is no answer yet.</p>}
    </Dialog>
  );
}

function Export({ answer }: { answer: AnswerState }) {
  const { contexts } = useServices();
  const context = contexts.get(answer.id);
  const count = answer.samples.length;
  const json = () => documentJson(makeDocument(answer, context));
  const markdown = () => traceMarkdown(makeDocument(answer, context));
  const link = linkTo(answer, sampleOf(context?.file), context?.video.sampling);
  return (
    <div className="export">
      <p className="t2 export-question">{answer.question.text}</p>
      <p className="t3 sm">
        {count === 1 ? 'One answer' : `${count} answers`}
        {answer.status === 'streaming' ? ', as far as written' : ''}, with every token, its probability and
        its alternatives. The video is not in it.
      </p>
      <Row
        name="JSON"
        note="for programs"
        file={exportName(answer, 'json')}
        type="application/json"
        text={json}
      />
      <Row
        name="Markdown"
        note="for people"
        file={exportName(answer, 'md')}
        type="text/markdown"
        text={markdown}
      />
      <div className="export-row">
        <span>
          <span className="med">Link</span>{' '}
          <span className="t3 sm">
            {link
              ? 'clip, question, settings and seed'
              : 'only about a clip of the gallery, not from a fork, and for a short question'}
          </span>
        </span>
        {link && <CopyButton text={link} label="Copy link" />}
      </div>
      {link && (
        <input
          className="in"
          readOnly
          aria-label="Link"
          value={link}
          onFocus={(event) => event.target.select()}
        />
      )}
    </div>
  );
}

function Row({
  name,
  note,
  file,
  type,
  text,
}: {
  name: string;
  note: string;
  file: string;
  type: string;
  text: () => string;
}) {
  return (
    <div className="export-row">
      <span>
        <span className="med">{name}</span> <span className="t3 sm">{note}</span>
      </span>
      <button
        type="button"
        className="btn"
        aria-label={`Download ${name}`}
        onClick={() => download(file, new Blob([text()], { type }))}
      >
        <Icon name="download" size={14} />
        Download
      </button>
      <CopyButton text={text} label={`Copy ${name}`} />
    </div>
  );
}

function linkTo(
  { question, label, settings, samples, fork }: AnswerState,
  clip: ReturnType<typeof sampleOf>,
  sampling: QuestionLink['sampling'] = 'uniform',
): string | undefined {
  if (!clip?.url || fork) return undefined;
  const hash = linkHash({
    clip: clip.fileName,
    text: question.text,
    options: question.options,
    ...(label ? { label: label.charCodeAt(0) - 65 } : {}),
    reasoning: question.reasoning,
    sampling,
    num_generations: samples.length,
    settings,
  });
  // A link that its reader would find fault with (a very long question, say) is none.
  if (parseLink(hash, { settings })?.problems.length !== 0) return undefined;
  return new URL(hash, location.href).href;
}
