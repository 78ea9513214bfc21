import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { createTensor } from '../../src/gpu/tensor';
import type { TinyLlava } from '../../src/model/tiny-llava';
import { Preprocessor } from '../../src/video/preprocessor';
import type { VideoInfo } from '../../src/worker/protocol';
import { readVideo, type VideoReaderEvents } from '../../src/worker/video-reader';
import { videoBytes } from '../support/video-fixtures';

let gpu: Gpu;
let preprocessor: Preprocessor;
/** Shapes of the pixel values that the stand-in for the model was given. */
const shapes: (readonly number[])[] = [];
let model: TinyLlava;

beforeAll(async () => {
  gpu = await openGpu();
  preprocessor = await Preprocessor.create(gpu, 28);
  model = {
    config: { num_frames: 4, vision_config: { image_size: 28 } },
    async encodeVideo({ shape }: { shape: readonly number[] }) {
      shapes.push(shape);
      return createTensor(gpu, [1, 4], 'f32', 'visual tokens');
    },
  } as unknown as TinyLlava;
});
afterAll(() => gpu?.close());

/** Events of one reading, as they came. */
function record() {
  const log = { infos: [] as VideoInfo[], thumbnails: [] as [number, number][], scans: [] as number[][] };
  const events: VideoReaderEvents = {
    onScan: (...bytes) => log.scans.push(bytes),
    onInfo: (info) => log.infos.push(info),
    onFrame: (_index, _time, { width, height }) => log.thumbnails.push([width, height]),
  };
  return { ...log, events };
}

async function read(name: string, sampling: 'uniform' | '1fps', signal = new AbortController().signal) {
  const file = new File([await videoBytes(name)], name);
  const log = record();
  const video = readVideo(gpu, model, preprocessor, file, sampling, log.events, signal);
  return { ...log, video, file };
}

describe('readVideo', () => {
  it.each(['b-frames.mkv', 'moov-last.mp4'])('%s: as many frames as asked for', async (name) => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0); // Nothing takes long.
    const even = await read(name, 'uniform');
    (await even.video).visual.buffer.destroy();
    expect(shapes.pop()).toEqual([4, 3, 28, 28]);
    const [start, ...rest] = even.infos[0]!.sampledTimes;
    expect(rest.map((time) => time - start!)).toEqual([19, 39, 59].map((i) => expect.closeTo(i / 24, 2)));
    expect(even.thumbnails.length).toBe(4);
    expect(even.scans).toEqual([]);
    clock.mockRestore();
    const perSecond = await read(name, '1fps');
    (await perSecond.video).visual.buffer.destroy();
    expect(shapes.pop()).toEqual([2, 3, 28, 28]); // 2.5 s
    expect(perSecond.infos[0]!.sampledTimes.length).toBe(2);
  });

  it.each(['wide-pixels.mp4', 'wide-pixels.mkv'])('%s: shown in the right shape', async (name) => {
    const { video, infos, thumbnails } = await read(name, 'uniform');
    (await video).visual.buffer.destroy();
    expect([infos[0]!.width, infos[0]!.height]).toEqual([256, 36]);
    expect(thumbnails[0]).toEqual([160, 23]);
  });

  it.each(['live.mkv', 'fragmented.mp4'])('%s: a long scan is told of, and can be ended', async (name) => {
    let clock = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => {
      clock += 90;
      return clock;
    });
    const { video, scans, file } = await read(name, 'uniform');
    (await video).visual.buffer.destroy();
    expect(scans.length).toBeGreaterThan(0);
    for (const [done, total] of scans) {
      expect(total).toBe(file.size);
      expect(done).toBeLessThanOrEqual(file.size);
    }
    const stop = new AbortController();
    const stopped = await read(name, 'uniform', stop.signal);
    stop.abort(new Error('cancelled'));
    await expect(stopped.video).rejects.toThrow('cancelled');
    expect(stopped.infos).toEqual([]);
    vi.restoreAllMocks();
  });
});
