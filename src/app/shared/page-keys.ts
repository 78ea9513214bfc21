import type { AppServices } from '../store/app-services';
import { nextTheme } from '../store/view';

/** Whether a text field has the focus: single keys are off then. */
export function isTextField(target: EventTarget | null): boolean {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  if (target instanceof HTMLInputElement)
    return !['radio', 'checkbox', 'range', 'button'].includes(target.type);
  return target instanceof HTMLElement && target.isContentEditable;
}

/** Does what a single key stands for on every page. Returns whether it stands for anything. */
export function handlePageKey(key: string, { view }: Pick<AppServices, 'view'>): boolean {
  switch (key) {
    case 'm':
    case 'M':
      view.setState({ dialog: 'models' });
      return true;
    case 'd':
    case 'D':
      view.setState((state) => ({ theme: nextTheme(state.theme) }));
      return true;
    case '?':
      view.setState({ dialog: 'help' });
      return true;
    default:
      return false;
  }
}
