import type { ReactNode } from 'react';
import type { EngineError } from '../../worker/protocol';
import { Icon, type IconName } from './icon';

/** What went wrong, what is kept, and a way out. Stays next to what failed until it is solved. */
export function ErrorMessage({
  error,
  icon,
  tone = 'err',
  testId = 'error',
  children,
}: {
  error: Pick<EngineError, 'code' | 'title' | 'message'>;
  icon: IconName;
  tone?: 'err' | 'warn';
  testId?: string;
  children?: ReactNode;
}) {
  return (
    <div
      className={`message ${tone}`}
      role={tone === 'err' ? 'alert' : 'status'}
      data-testid={testId}
      data-code={error.code}
    >
      <span className="message-icon">
        <Icon name={icon} />
      </span>
      <strong>{error.title}</strong>
      <p>{error.message}</p>
      {children && <div className="message-actions">{children}</div>}
    </div>
  );
}
