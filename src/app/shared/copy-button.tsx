import { useEffect, useRef, useState } from 'react';
import { Icon } from './icon';

/** Copies a text, and says whether that worked. `text` may be made on demand. */
export function CopyButton({
  text,
  label,
  className = 'btn',
}: {
  text: string | (() => string);
  label: string;
  className?: string;
}) {
  const [state, setState] = useState<'copied' | 'failed'>();
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    const value = typeof text === 'string' ? text : text();
    const ok = await copyText(value);
    setState(ok ? 'copied' : 'failed');
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setState(undefined), 4000);
  };
  return (
    <button type="button" className={className} onClick={() => void copy()}>
      <Icon name={state === 'copied' ? 'check' : 'copy'} size={14} />
      <span aria-live="polite">
        {state === 'copied' ? 'Copied' : state === 'failed' ? 'The browser did not allow it' : label}
      </span>
    </button>
  );
}

/** Puts a text on the clipboard. False where the browser does not allow it. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyThroughSelection(text);
  }
}

/** The old way, for pages without a secure context: a selected text field. */
function copyThroughSelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'hidden';
  // Inside of an open dialog, everything else is inert and cannot be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  const ok = document.execCommand('copy');
  field.remove();
  return ok;
}
