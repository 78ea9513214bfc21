// The video room in a worker, where there is no DOM: opens the posted file, decodes, makes a thumbnail.
import { openVideo } from '../../src/video/container';
import { decodeFrames } from '../../src/video/decode';
import { readPixels } from '../../src/video/frame-pixels';
import { makeThumbnail } from '../../src/video/thumbnail';

self.onmessage = async ({ data }: MessageEvent<File>) => {
  try {
    const video = await openVideo(data);
    const pictures: ImageBitmap[] = [];
    await decodeFrames(video, [0, video.frameCount - 1], {
      async onFrame(_, frame) {
        pictures.push(await makeThumbnail(await readPixels(frame, video), video));
      },
    });
    self.postMessage({ frameCount: video.frameCount, pictures }, { transfer: pictures });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
