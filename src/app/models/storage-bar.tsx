import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { useDesk } from '../store/app-services';

/** What this page takes of the browser's storage, and whether the browser agreed to keep it. */
export function StorageBar() {
  const room = useDesk((desk) => desk.room);
  const error = useDesk((desk) => desk.error);
  if (!room && !error) return null;
  return (
    <div className="storage" data-testid="storage">
      {error && (
        <p className="field-problem" role="alert">
          {error.message}
        </p>
      )}
      {room && (
        <>
          <p className="row sm">
            <span className="t2">Browser storage</span>
            <span className="sp t3">
              {formatBytes(room.usage)} of {formatBytes(room.quota)}
            </span>
          </p>
          <div className="track" aria-hidden="true">
            <b style={{ width: `${Math.min(100, (room.usage / Math.max(1, room.quota)) * 100)}%` }} />
          </div>
          <p className="row sm t3 storage-kept">
            <span className={room.persisted ? 'ok' : ''}>
              <Icon name={room.persisted ? 'check' : 'info'} size={13} />
            </span>
            {room.persisted
              ? 'The browser agreed to keep these files'
              : 'The browser may delete these files where the disk gets full'}
          </p>
        </>
      )}
    </div>
  );
}
