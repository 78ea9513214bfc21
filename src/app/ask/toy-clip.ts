import { TOY_CLIP_THREAD, type ToyClipRequest, type ToyClipResult } from '../../worker/toy-clip-protocol';
import type { Sample } from './sample-list';

/**
 * A random clip of the toy world with its questions, rendered and encoded in this tab.
 * @throws Error with a sentence for the user where this browser encodes no video.
 */
export async function makeToySample(): Promise<{ file: Blob; sample: Sample }> {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000;
  const worker = new Worker(new URL('../../worker/worker.ts', import.meta.url), {
    type: 'module',
    name: TOY_CLIP_THREAD,
  });
  try {
    const result = await new Promise<ToyClipResult>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<ToyClipResult>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || 'The clip could not be made.'));
      };
      worker.postMessage({ seed } satisfies ToyClipRequest);
    });
    if ('problem' in result) throw new Error(result.problem);
    const { file, fileName, questions } = result;
    return { file, sample: { fileName, title: `Toy clip ${seed}`, questions } };
  } finally {
    worker.terminate();
  }
}
