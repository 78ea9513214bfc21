import { useEffect, useRef } from 'react';
import { useServices, useView } from '../store/app-services';
import { Icon } from './icon';

const KEYS: readonly [string, string][] = [
  ['⌘ or Ctrl + Enter', 'Ask'],
  ['Esc', 'Stop the answer, or close what is open'],
  ['Space', 'Play or pause the video'],
  [', and .', 'Sampled frame back and on'],
  ['← and →', 'Token back and on'],
  ['Home and End', 'First token; follow the newest again'],
  ['A and Shift + A', 'Next and last aha moment'],
  ['D', 'Theme: system, light, dark'],
  ['?', 'This list'],
];

/** All keys, in a modal dialog. */
export function HelpDialog() {
  const { view } = useServices();
  const open = useView((state) => state.helpOpen);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="help-title"
      onClose={() => view.setState({ helpOpen: false })}
    >
      <div className="row">
        <h2 id="help-title">Keys</h2>
        <button
          type="button"
          className="ib sp"
          aria-label="Close"
          onClick={() => view.setState({ helpOpen: false })}
        >
          <Icon name="x" />
        </button>
      </div>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd className="kbd">{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className="t3 sm">Single keys are off while a text field has the focus.</p>
    </dialog>
  );
}
