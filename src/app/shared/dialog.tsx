import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useServices, useView } from '../store/app-services';
import type { DialogName } from '../store/view';
import { Icon } from './icon';

/** A modal dialog of the page: open while the view names it. Escape, the cross and a click beside it close it. */
export function Dialog({
  name,
  title,
  className = '',
  children,
}: {
  name: DialogName;
  title: string;
  className?: string;
  children: ReactNode;
}) {
  const { view } = useServices();
  const open = useView((state) => state.dialog === name);
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  const close = () => {
    if (view.getState().dialog === name) view.setState({ dialog: undefined });
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape does the same
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={titleId}
      // At once: its close comes later, when a key may have opened another one, or this one again.
      onCancel={(event) => {
        if (event.target === event.currentTarget) close();
      }}
      onClose={(event) => {
        if (!event.currentTarget.open) close();
      }}
      onClick={(event) => {
        // What lies in the dialog is its body; the dialog's own box is hit on the backdrop alone.
        if (event.target === event.currentTarget) close();
      }}
    >
      <div className="dialog-body">
        <div className="row dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button type="button" className="ib sp" aria-label="Close" onClick={close}>
            <Icon name="x" />
          </button>
        </div>
        {open && children}
      </div>
    </dialog>
  );
}
