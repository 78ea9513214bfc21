/** The words of the toy world. Their order is part of the data format (labels index into these lists). */
export const TOY_COLOURS = ['red', 'green', 'blue', 'yellow', 'purple', 'white'] as const;
export const TOY_SHAPES = ['circle', 'square', 'triangle', 'cross'] as const;
/** 3x3 cells in reading order, named as on a map: index = row * 3 + column. */
export const TOY_CELLS = [
  'northwest',
  'north',
  'northeast',
  'west',
  'center',
  'east',
  'southwest',
  'south',
  'southeast',
] as const;
export const TOY_DIRECTIONS = ['up', 'down', 'left', 'right'] as const;

/** What an object that stays moves to, in the words of the options. */
export const TOY_NO_DIRECTION = 'nowhere';
export const TOY_NUMBERS = ['zero', 'one', 'two', 'three', 'four'] as const;

export type ToyColour = (typeof TOY_COLOURS)[number];
export type ToyShape = (typeof TOY_SHAPES)[number];
export type ToyDirection = (typeof TOY_DIRECTIONS)[number];

/** sRGB bytes of each colour. */
export const TOY_COLOUR_RGB: Record<ToyColour, readonly [number, number, number]> = {
  red: [220, 40, 40],
  green: [40, 180, 60],
  blue: [50, 80, 230],
  yellow: [235, 215, 50],
  purple: [170, 60, 205],
  white: [240, 240, 240],
};

/** Frames of a clip as the model sees it. */
export const TOY_FRAMES = 8;
/** Edge length in pixels of the frames that the model sees; scene coordinates use the same unit. */
export const TOY_SIZE = 64;
/** Seeds from here on are never used for training. */
export const HELD_OUT_SEED_START = 1_000_000_000;
