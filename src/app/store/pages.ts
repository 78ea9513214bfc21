import type { ViewStore } from './view';

export type PageName = 'ask' | 'train' | 'bench';

/** The pages that have a tab, in order. The address's hash names the one that is shown. */
export const PAGES: readonly { name: PageName; label: string }[] = [
  { name: 'ask', label: 'Ask' },
  { name: 'train', label: 'Train' },
  { name: 'bench', label: 'Bench' },
];

/** The page that a hash names; the first one where it names none. */
export function pageOfHash(hash: string): PageName {
  return PAGES.find(({ name }) => hash === `#${name}`)?.name ?? 'ask';
}

/** Shows a page, as a press of its tab does. */
export function showPage(page: PageName): void {
  location.hash = page;
}

/** Keeps `view.page` in step with the address. Returns the end of it. */
export function followHash(view: ViewStore): () => void {
  const follow = () => {
    const page = pageOfHash(location.hash);
    if (view.getState().page !== page) view.setState({ page, drawerOpen: false });
  };
  follow();
  addEventListener('hashchange', follow);
  return () => removeEventListener('hashchange', follow);
}
