import { type Normalisation, SIGLIP_NORMALISATION } from '../video/resize-reference';
import { CheckpointError } from '../weights/errors';

/** The image processor's file of a checkpoint. The published ones lack it: SigLIP's values hold then. */
export const PROCESSOR_FILE = 'preprocessor_config.json';

/**
 * Checks a parsed preprocessor_config.json against what the preprocessor does: bicubic resize to a square without
 * cropping, rescale, normalise.
 * @param json undefined where a checkpoint has no such file.
 * @param image_size rows and columns that the vision tower takes.
 * @throws CheckpointError naming the field that asks for something else.
 */
export function parseProcessorConfig(json: unknown, image_size: number): Normalisation {
  if (json === undefined) return SIGLIP_NORMALISATION;
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new CheckpointError(`${PROCESSOR_FILE} is not an object.`);
  const fields = json as Record<string, unknown>;
  const fail = (field: string, what: string): never => {
    throw new CheckpointError(`${PROCESSOR_FILE}: ${field} is ${JSON.stringify(fields[field])}, ${what}.`);
  };
  const { do_resize, do_center_crop, do_rescale, do_normalize, do_pad, resample, size } = fields;
  if (do_resize === false) fail('do_resize', 'and frames of other sizes cannot be run');
  if (do_center_crop === true) fail('do_center_crop', 'and cropped frames cannot be run');
  if (do_pad === true) fail('do_pad', 'and padded frames cannot be run');
  if (resample !== undefined && resample !== 3) fail('resample', 'and only 3 (bicubic) can be run');
  if (size !== undefined && !isSquare(size, image_size))
    fail('size', `and the vision tower takes ${image_size} x ${image_size}`);
  const numbers = (field: string, positive: boolean): [number, number, number] | undefined => {
    const value = fields[field];
    if (value === undefined || value === null) return undefined;
    const valid = (item: unknown) => Number.isFinite(item) && (!positive || (item as number) > 0);
    if (!Array.isArray(value) || value.length !== 3 || !value.every(valid))
      fail(field, `which is not a list of three ${positive ? 'positive ' : ''}numbers`);
    return value as [number, number, number];
  };
  const { rescale_factor } = fields;
  if (rescale_factor !== undefined && !(Number.isFinite(rescale_factor) && (rescale_factor as number) > 0))
    fail('rescale_factor', 'which is not a positive number');
  const normalise = do_normalize !== false;
  return {
    rescale_factor:
      do_rescale === false
        ? 1
        : ((rescale_factor as number | undefined) ?? SIGLIP_NORMALISATION.rescale_factor),
    image_mean: normalise ? (numbers('image_mean', false) ?? SIGLIP_NORMALISATION.image_mean) : [0, 0, 0],
    image_std: normalise ? (numbers('image_std', true) ?? SIGLIP_NORMALISATION.image_std) : [1, 1, 1],
  };
}

function isSquare(size: unknown, side: number): boolean {
  if (typeof size === 'number') return size === side;
  const { height, width } = (size ?? {}) as { height?: unknown; width?: unknown };
  return height === side && width === side;
}
