/** Pixels that are this many times longer than wide, or the other way round, are damage. */
const MAX_STRETCH = 16;

/**
 * Width and height of a picture as it is shown, in square pixels: the height is kept, the width stretched.
 * @param stretch width of a pixel for its height; what cannot be is taken as 1.
 * @param rotation degrees.
 */
export function shownSize(
  width: number,
  height: number,
  stretch: number,
  rotation: number,
): [number, number] {
  const aspect = stretch >= 1 / MAX_STRETCH && stretch <= MAX_STRETCH ? stretch : 1;
  const shown: [number, number] = [Math.max(1, Math.round(width * aspect)), height];
  return rotation % 180 ? [shown[1], shown[0]] : shown;
}
