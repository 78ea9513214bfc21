import type { CompletionRow } from '../../worker/training-protocol';

export type CompletionOrder = 'latest' | 'lowest' | 'aha';

/** Rows that hold all words of `search`, in the order asked for: newest first, lowest reward first, or those with an aha. */
export function completionRows(
  rows: readonly CompletionRow[],
  order: CompletionOrder,
  search: string,
): CompletionRow[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => {
    if (order === 'aha' && !row.aha) return false;
    if (words.length === 0) return true;
    const text = `${row.prompt}\n${row.completion}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  found.reverse();
  return order === 'lowest' ? found.sort((a, b) => a.reward - b.reward) : found;
}
