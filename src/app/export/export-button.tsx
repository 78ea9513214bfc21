import { Icon } from '../shared/icon';
import { useServices } from '../store/app-services';

/** Opens the export of the shown answer. */
export function ExportButton() {
  const { view } = useServices();
  return (
    <button
      type="button"
      className="ib"
      aria-label="Export this answer"
      title="Export: download, copy, or link"
      onClick={() => view.setState({ dialog: 'export' })}
    >
      <Icon name="download" />
    </button>
  );
}
