import { YUV_TO_RGB } from './colour';
import type { FramePixels } from './frame-pixels';

/** The constants of planes-to-rgb.wgsl. */
export type PlaneConstants = Record<
  'KIND' | 'TURN' | 'SAMPLE_BYTES' | 'SHIFT_X' | 'SHIFT_Y' | 'SPREAD_X',
  number
>;

/** Those of most clips: 8-bit 4:2:0 (I420 and NV12), upright. */
export const USUAL_CONSTANTS: PlaneConstants = {
  KIND: 0,
  TURN: 0,
  SAMPLE_BYTES: 1,
  SHIFT_X: 1,
  SHIFT_Y: 1,
  SPREAD_X: 0,
};

/** The constants for a frame's format, colour and rotation. */
export function planeConstants({ width, height, rotation, layout, colour }: FramePixels): PlaneConstants {
  const { depth, shiftX, shiftY } = layout;
  // Where swscale takes its fast path for 8-bit 4:2:0 and 4:2:2.
  const exact = depth === 8 && shiftX === 1 && height % 2 === 0;
  const kind = { yuv: colour.matrix === 0 ? 4 : exact ? 0 : 1, rgba: 2, bgra: 3 }[layout.kind];
  return {
    KIND: kind,
    TURN: rotation / 90,
    SAMPLE_BYTES: depth > 8 ? 2 : 1,
    SHIFT_X: shiftX,
    SHIFT_Y: shiftY,
    SPREAD_X: kind === 1 && shiftX && width % 2 ? 1 : 0,
  };
}

/** The uniform block of planes-to-rgb.wgsl. Coefficients have 13 fractional bits, rounded as swscale rounds them. */
export function planeParams({ width, height, layout, planes, colour }: FramePixels): ArrayBuffer {
  const { depth, interleaved } = layout;
  const bytes = depth > 8 ? 2 : 1;
  const [y, u, v] = planes;
  const cOffset = u?.offset ?? 0;
  const [crv, cbu, cgu, cgv] = YUV_TO_RGB[colour.matrix] ?? [0, 0, 0, 0];
  // The table is for limited-range chroma (224 steps); full range has 255.
  const chroma = (c: number) => (colour.fullRange ? Math.trunc((c * 224) / 255) : c);
  const bits13 = (c: number) => Math.floor((c * 8192 + 32768) / 65536);
  const to8Bits = colour.fullRange ? 255 / (2 ** depth - 1) : 2 ** (8 - depth);
  const block = new ArrayBuffer(64);
  new Uint32Array(block).set([
    width,
    height,
    y!.offset,
    y!.stride,
    cOffset,
    interleaved ? cOffset + bytes : (v?.offset ?? 0),
    u?.stride ?? 0,
    interleaved ? 2 * bytes : bytes,
  ]);
  new Int32Array(block, 32).set([
    colour.fullRange ? 0 : 16,
    bits13(colour.fullRange ? 65536 : Math.floor((65536 * 255) / 219)),
    bits13(chroma(crv)),
    bits13(chroma(cbu)),
    bits13(chroma(-cgu)),
    bits13(chroma(-cgv)),
  ]);
  new Float32Array(block, 56).set([to8Bits, 2 ** (depth - 1)]);
  return block;
}
