/** Name of a thread of worker.ts that makes toy clips instead of being the engine. */
export const TOY_CLIP_THREAD = 'toy clip';

/** What that thread is asked for. */
export interface ToyClipRequest {
  seed: number;
}

/** A clip of the toy world with its questions. */
export interface ToyClip {
  file: Blob;
  fileName: string;
  /** `label` is the index of the right option. */
  questions: { question: string; options: string[]; label: number; family: string }[];
}

/** What that thread answers: the clip, or a sentence for the user why there is none. */
export type ToyClipResult = ToyClip | { problem: string };
