import type { Gpu } from '../../gpu/device';
import { createTensor, readF32 } from '../../gpu/tensor';
import { oneFpsCount, sampleFrameIndices } from '../../video/frame-indices';
import { Preprocessor } from '../../video/preprocessor';
import type { Normalisation, RgbImage } from '../../video/resize-reference';
import type { FrameIndexCases, ReferenceTensors } from './reference';
import type { StageList } from './report';

/** `preprocessing.frame_indices`: how many recorded lists of sampled frames differ. */
export function verifyFrameIndices(
  list: StageList,
  cases: FrameIndexCases | undefined,
  vision: ReferenceTensors | undefined,
): void {
  const pairs: [number[], ArrayLike<number>][] = [];
  for (const { num_frames, requested, indices } of cases?.linspace ?? [])
    pairs.push([sampleFrameIndices(num_frames, requested), indices]);
  for (const { num_frames, duration, max_frame, indices } of cases?.one_fps ?? []) {
    const count = oneFpsCount(duration, max_frame ?? undefined);
    pairs.push([sampleFrameIndices(num_frames, count), indices]);
  }
  if (vision?.has('frame_indices') && vision.has('video')) {
    const indices = vision.i32('frame_indices');
    pairs.push([sampleFrameIndices(vision.shape('video')[0]!, indices.length), indices]);
  }
  if (!pairs.length) return;
  const wrong = pairs.filter(
    ([a, b]) => a.length !== b.length || a.some((index, i) => index !== b[i]),
  ).length;
  list.count('preprocessing.frame_indices', wrong, pairs.length);
}

/** `preprocessing.*` of vision.safetensors: resized bytes and pixel values, which must be equal. */
export async function verifyPreprocessing(
  list: StageList,
  gpu: Gpu,
  vision: ReferenceTensors,
  imageSize: number,
  normalisation: Normalisation,
): Promise<void> {
  const exact = (name: string, actual: ArrayLike<number>, expected: ArrayLike<number>) =>
    list.compare(name, actual, expected, 0);
  if (vision.has('video') && vision.has('frame_indices')) {
    const indices = [...vision.i32('frame_indices')];
    const preprocessor = await Preprocessor.create(gpu, imageSize, normalisation);
    const pixels = createTensor(gpu, [indices.length, 3, imageSize, imageSize], 'f32', 'pixel values');
    const bytes = 3 * imageSize * imageSize;
    const resized = new Uint8Array(indices.length * bytes);
    for (const [t, index] of indices.entries()) {
      preprocessor.run(frameOf(vision, 'video', index), pixels, t);
      if (vision.has('resized')) resized.set((await preprocessor.readResized()).data, t * bytes);
    }
    if (vision.has('resized')) exact('preprocessing.resized', resized, vision.u8('resized'));
    if (vision.has('pixel_values'))
      exact('preprocessing.pixel_values', await readF32(gpu, pixels), vision.f32('pixel_values'));
    pixels.buffer.destroy();
    preprocessor.destroy();
  }
  for (const [name, source] of [
    ['dark', 'dark.frame'],
    ['shrink', 'shrink.source'],
  ] as const) {
    if (!vision.has(source) || !vision.has(`${name}.pixel_values`)) continue;
    const size = vision.shape(`${name}.pixel_values`).at(-1)!;
    const preprocessor = await Preprocessor.create(gpu, size, normalisation);
    const pixels = createTensor(gpu, [1, 3, size, size], 'f32', 'pixel values');
    preprocessor.run(frameOf(vision, source), pixels, 0);
    exact(`preprocessing.${name}`, await readF32(gpu, pixels), vision.f32(`${name}.pixel_values`));
    pixels.buffer.destroy();
    preprocessor.destroy();
  }
  // Pictures resized to another size, of which the first rows are recorded: full384 of the reference set.
  for (const resized of vision.names().filter((name) => /^full\d+\.resized$/.test(name))) {
    const name = resized.replace('.resized', '');
    const size = vision.shape(resized)[1]!;
    const preprocessor = await Preprocessor.create(gpu, size, normalisation);
    const pixels = createTensor(gpu, [1, 3, size, size], 'f32', 'pixel values');
    preprocessor.run(frameOf(vision, 'video', vision.i32(`${name}.source_index`)[0]!), pixels, 0);
    const expected = vision.u8(resized);
    const { data } = await preprocessor.readResized();
    exact(`preprocessing.${name}`, data.subarray(0, expected.length), expected);
    pixels.buffer.destroy();
    preprocessor.destroy();
  }
}

/** A picture `[H, W, 3]`, or one frame of a clip `[N, H, W, 3]`. */
function frameOf(vision: ReferenceTensors, name: string, index = 0): RgbImage {
  const [height, width] = vision.shape(name).slice(-3) as [number, number];
  const bytes = height * width * 3;
  return { width, height, data: vision.u8(name).slice(index * bytes, (index + 1) * bytes) };
}
