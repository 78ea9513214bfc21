/**
 * Which frames the original looks at: `numpy.linspace(0, n - 1, k, dtype=int)`, that is `floor(i * step)` with
 * `step = (n - 1) / (k - 1)` in float64 and the last index forced to `n - 1`. Indices repeat where `n < k`.
 * @param numFrames n, the frames of the clip in presentation order.
 * @param count k, how many to sample.
 * @throws RangeError unless both are positive integers.
 */
export function sampleFrameIndices(numFrames: number, count: number): number[] {
  for (const [name, value] of [
    ['numFrames', numFrames],
    ['count', count],
  ] as const) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`${name} is ${value}; it must be a positive integer.`);
  }
  const last = numFrames - 1;
  if (count === 1) return [0];
  const step = last / (count - 1);
  // numpy multiplies by the step, but divides first where the step would underflow to 0: same values here.
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? last : Math.floor(i * step)));
}

/** Most frames at one a second, as in the original's evaluation of such a model (VID scripts/eval/mmvu.sh, max_frame). */
export const MAX_1FPS_FRAMES = 64;

/**
 * How many frames the original samples at one frame a second: `max(1, int(duration))`, at most `maxFrame`.
 * @param durationSeconds length of the clip in seconds.
 */
export function oneFpsCount(durationSeconds: number, maxFrame = Number.POSITIVE_INFINITY): number {
  return Math.min(maxFrame, Math.max(1, Math.trunc(durationSeconds)));
}
