import { RecordedList } from '../recorded/recorded-list';
import { Icon } from '../shared/icon';
import { useEngine, useServices, useShown, useView } from '../store/app-services';
import { AhaList } from './aha-list';
import { SessionList } from './session-list';
import { TokenInspector } from './token-inspector';

/** The right column: the token under inspection, aha moments, questions asked. A drawer on narrower screens. */
export function SideColumn() {
  const { view } = useServices();
  const shown = useShown();
  const recorded = useEngine((state) => state.model.recorded);
  const open = useView((state) => state.drawerOpen);
  return (
    <aside className={`col right ${open ? 'open' : ''}`} aria-label="Tokens and session">
      <button
        type="button"
        className="ib drawer-close"
        aria-label="Close"
        onClick={() => view.setState({ drawerOpen: false })}
      >
        <Icon name="x" />
      </button>
      <TokenInspector shown={shown} />
      <AhaList sample={shown?.sample} />
      {/* Before the first answer they stand in the middle. */}
      {recorded && shown && (
        <div className="sec">
          <RecordedList />
        </div>
      )}
      <SessionList shown={shown?.answer.id} />
    </aside>
  );
}
