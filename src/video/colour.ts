/** Colour tags as streams carry them: matrix coefficients by their ITU-T H.273 code. Absent: not said. */
export interface ColourTags {
  matrix?: number;
  fullRange?: boolean;
}

/** How to turn Y'CbCr into R'G'B'. */
export interface YuvColour {
  /** H.273 matrix code that has an entry in `YUV_TO_RGB`, or 0 for RGB carried as GBR. */
  matrix: number;
  fullRange: boolean;
}

/** H.273 codes: untagged streams are read as BT.601 limited range, as the original's reader (FFmpeg) does. */
export const UNSPECIFIED = 2;
const BT601 = 6;

/**
 * 16.16 fixed-point contributions of Cr to R, Cb to B, Cb to G and Cr to G (the last two are subtracted), of
 * limited-range chroma, by H.273 matrix code: 2^16 * 255/224 * 2(1 - Kr) and so on, as FFmpeg's swscale has them.
 */
export const YUV_TO_RGB: Readonly<Record<number, readonly [number, number, number, number]>> = {
  1: [117489, 138438, 13975, 34925], // BT.709
  4: [104448, 132798, 24759, 53109], // FCC
  5: [104597, 132201, 25675, 53279], // BT.470BG, the same as BT.601
  6: [104597, 132201, 25675, 53279], // BT.601 (SMPTE 170M)
  7: [117579, 136230, 16907, 35559], // SMPTE 240M
  9: [110013, 140363, 12277, 42626], // BT.2020 non-constant luminance
  10: [110013, 140363, 12277, 42626], // BT.2020 constant luminance, treated alike by FFmpeg
};

/** VP8 knows no other colours than these, so FFmpeg reads it by them whatever the container says. */
export const VP8_TAGS: ColourTags = { matrix: BT601, fullRange: false };

const MATRIX_CODES: Record<string, number> = { rgb: 0, bt709: 1, bt470bg: 5, smpte170m: 6, 'bt2020-ncl': 9 };
const MATRIX_NAMES: Record<number, VideoMatrixCoefficients> = {
  0: 'rgb',
  1: 'bt709',
  5: 'bt470bg',
  6: 'smpte170m',
  9: 'bt2020-ncl' as VideoMatrixCoefficients,
};

/** Tags merged field by field: the first source that says something wins. */
export function mergeTags(...sources: (ColourTags | undefined)[]): ColourTags {
  const merged: ColourTags = {};
  for (const source of sources) {
    if (merged.matrix === undefined && source?.matrix !== undefined && source.matrix !== UNSPECIFIED)
      merged.matrix = source.matrix;
    if (merged.fullRange === undefined && source?.fullRange !== undefined)
      merged.fullRange = source.fullRange;
  }
  return merged;
}

/** What tags mean: unspecified or unknown matrices are BT.601, an unspecified range is limited. */
export function resolveColour(tags: ColourTags): YuvColour {
  const matrix = tags.matrix ?? BT601;
  return {
    matrix: matrix === 0 || matrix in YUV_TO_RGB ? matrix : BT601,
    fullRange: tags.fullRange ?? false,
  };
}

/**
 * A WebCodecs colour space for these tags. Primaries and transfer are always BT.709's: the original's reader
 * ignores them, and a browser given others would convert between gamuts.
 */
export function toVideoColorSpace(colour: YuvColour): VideoColorSpaceInit {
  return {
    primaries: 'bt709',
    transfer: 'bt709',
    matrix: MATRIX_NAMES[colour.matrix] ?? 'smpte170m',
    fullRange: colour.fullRange,
  };
}

/** Tags of a WebCodecs colour space: of a decoded frame, say, whose own tags are read by the decoder alone. */
export function colourTags(space: Pick<VideoColorSpaceInit, 'matrix' | 'fullRange'>): ColourTags {
  const tags: ColourTags = {};
  if (space.matrix && space.matrix in MATRIX_CODES) tags.matrix = MATRIX_CODES[space.matrix]!;
  if (typeof space.fullRange === 'boolean') tags.fullRange = space.fullRange;
  return tags;
}
