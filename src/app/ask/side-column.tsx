import { Icon } from '../shared/icon';
import { useServices, useShown, useView } from '../store/app-services';
import { AhaList } from './aha-list';
import { SessionList } from './session-list';
import { TokenInspector } from './token-inspector';

/** The right column: the token under inspection, aha moments, questions asked. A drawer on narrower screens. */
export function SideColumn() {
  const { view } = useServices();
  const shown = useShown();
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
      <SessionList shown={shown?.answer.id} />
    </aside>
  );
}
