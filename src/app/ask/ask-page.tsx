import { OpenedLink } from '../export/open-link';
import { useGroupShown, useView } from '../store/app-services';
import { AnswerPanel } from './answer-panel';
import { AskBar } from './ask-bar';
import { MediaPanel } from './media-panel';
import { QuestionEditor } from './question-editor';
import { SideColumn } from './side-column';
import { TokenSheet } from './token-sheet';
import { useShortcuts } from './use-shortcuts';

/**
 * Video and question on the left, the model's thought in the middle, its tokens on the right. A group of answers takes
 * the middle, or the whole page.
 */
export function AskPage() {
  useShortcuts();
  const group = useGroupShown();
  const full = useView((view) => view.groupFull) && group;
  return (
    <main className={`ask ${full ? 'group-only' : ''}`} id="ask">
      <section className="col left" aria-label="Video and question">
        <div className="left-scroll">
          <OpenedLink />
          <MediaPanel />
          <div className="hr" />
          <QuestionEditor />
        </div>
        <AskBar />
      </section>
      <AnswerPanel />
      <SideColumn />
      <TokenSheet />
    </main>
  );
}
