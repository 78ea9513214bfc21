import { AnswerPanel } from './answer-panel';
import { AskBar } from './ask-bar';
import { MediaPanel } from './media-panel';
import { QuestionEditor } from './question-editor';
import { SideColumn } from './side-column';
import { TokenSheet } from './token-sheet';
import { useShortcuts } from './use-shortcuts';

/** Video and question on the left, the model's thought in the middle, its tokens on the right. */
export function AskPage() {
  useShortcuts();
  return (
    <main className="ask" id="ask">
      <section className="col left" aria-label="Video and question">
        <div className="left-scroll">
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
