import type { BlockGraph } from '../blocks/block-graph';

/** The first use of each graph: the layers of a model share theirs, and a warm-up needs to run it once alone. */
export function onceEach<Use extends { readonly graph: BlockGraph }>(uses: readonly Use[]): Use[] {
  return uses.filter((use, i) => uses.findIndex(({ graph }) => graph === use.graph) === i);
}
