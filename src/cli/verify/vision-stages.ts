import type { Gpu } from '../../gpu/device';
import { type GpuTensor, readF32, uploadTensor } from '../../gpu/tensor';
import { TapRecorder } from '../../model/model-taps';
import type { Resampler } from '../../model/resampler';
import { chunkSizes } from '../../model/resampler-batches';
import type { VisionTower } from '../../model/vision-tower';
import type { ReferenceTensors } from './reference';
import type { StageList } from './report';

/** The parts of a model that see. */
export interface SeeingModel {
  tower: VisionTower;
  resampler: Resampler;
  /** Groups that the resampler cuts a sequence into. */
  groups: number;
}

/**
 * `vision.*` and `connector.*`: the tower on the recorded pixels, the resampler on what the tower gave.
 * @returns visual tokens of the clip as it is and with its frames in reverse order, for the language model's stages.
 * The caller destroys them.
 */
export async function verifyVision(
  list: StageList,
  gpu: Gpu,
  model: SeeingModel,
  vision: ReferenceTensors,
  rounded: ReferenceTensors | undefined,
): Promise<{ visual: GpuTensor; reversed: GpuTensor }> {
  const shape = vision.shape('pixel_values');
  const pixels = vision.f32('pixel_values');
  const frames = shape[0]!;
  const upload = (data: Float32Array<ArrayBuffer>, count: number) =>
    uploadTensor(gpu, data, [count, ...shape.slice(1)], 'f32', 'pixel values');
  const taps = new TapRecorder(gpu);
  const pixelTensor = upload(pixels, frames);
  const features = await model.tower.encode(pixelTensor, taps.tap);
  const selected = await readF32(gpu, features);
  const visual = await model.resampler.forward(features, taps.tap);
  if (rounded) {
    list.compare('connector.output', await readF32(gpu, visual), rounded.f32('bf16_weights.visual_tokens'));
    list.note(
      'The other vision and connector stages are skipped: they were recorded with the weights before rounding.',
    );
  } else {
    const recorded = vision.names().filter((name) => /^vision\.hidden\.\d+$/.test(name));
    for (const name of recorded) {
      if (taps.names().includes(name)) list.compare(name, taps.get(name), vision.f32(name));
      else list.note(`${name} is skipped: the selected feature does not depend on it.`);
    }
    if (vision.has('vision.selected'))
      list.compare('vision.selected', selected, vision.f32('vision.selected'));
    for (const name of taps.names().filter((tapped) => tapped.startsWith('connector.'))) {
      if (vision.has(name)) list.compare(name, taps.get(name), vision.f32(name));
      else list.note(`${name} is skipped: it is not in the reference.`);
    }
    await verifyShort(list, gpu, model, vision, (count) =>
      upload(pixels.slice(0, (pixels.length / frames) * count), count),
    );
  }
  const rowsPerFrame = features.shape[0]! / frames;
  verifyGroups(list, model.groups, vision, rowsPerFrame, frames);
  const backward = upload(reverseFrames(pixels, frames), frames);
  const backwardFeatures = await model.tower.encode(backward);
  const reversed = await model.resampler.forward(backwardFeatures);
  for (const tensor of [pixelTensor, features, backward, backwardFeatures]) tensor.buffer.destroy();
  return { visual, reversed };
}

/** `connector.short<n>`: visual tokens of the first n frames alone, whose groups are no frames. */
async function verifyShort(
  list: StageList,
  gpu: Gpu,
  model: SeeingModel,
  vision: ReferenceTensors,
  firstFrames: (count: number) => GpuTensor,
): Promise<void> {
  for (const name of vision.names()) {
    const count = /^short(\d+)\.connector\.output$/.exec(name)?.[1];
    if (!count) continue;
    const pixels = firstFrames(Number(count));
    const features = await model.tower.encode(pixels);
    const output = await model.resampler.forward(features);
    list.compare(`connector.short${count}`, await readF32(gpu, output), vision.f32(name));
    for (const tensor of [pixels, features, output]) tensor.buffer.destroy();
  }
}

/** `connector.group_sizes`: how many of all recorded group sizes differ. */
function verifyGroups(
  list: StageList,
  groups: number,
  vision: ReferenceTensors,
  rowsPerFrame: number,
  frames: number,
): void {
  const actual: number[] = [];
  const expected: number[] = [];
  for (const name of vision.names()) {
    const match = /^(?:connector|short(\d+))\.group_sizes$/.exec(name);
    if (!match) continue;
    actual.push(...chunkSizes(rowsPerFrame * Number(match[1] ?? frames), groups));
    expected.push(...vision.i32(name));
  }
  if (expected.length) list.ids('connector.group_sizes', actual, expected);
}

function reverseFrames(pixels: Float32Array<ArrayBuffer>, frames: number): Float32Array<ArrayBuffer> {
  const size = pixels.length / frames;
  const out = new Float32Array(pixels.length);
  for (let t = 0; t < frames; t++)
    out.set(pixels.subarray(t * size, (t + 1) * size), (frames - 1 - t) * size);
  return out;
}
