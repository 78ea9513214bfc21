/**
 * Heights at which labels stand without covering each other or passing `bottom`: each as near to its `wanted` height as
 * the ones above it leave room. Heights are of the labels' middles and grow downwards; in the order of `wanted`.
 */
export function spreadLabels(wanted: readonly number[], height: number, bottom: number): number[] {
  const places = [...wanted];
  let above = Number.NEGATIVE_INFINITY;
  const order = wanted.map((_, place) => place).sort((a, b) => wanted[a]! - wanted[b]!);
  for (const [rank, place] of order.entries()) {
    const below = order.length - 1 - rank;
    above = Math.max(above + height, Math.min(wanted[place]!, bottom - (below + 0.5) * height));
    places[place] = above;
  }
  return places;
}
