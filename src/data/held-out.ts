import { ToyRng } from './toy';

/** Share of the videos whose questions are kept apart. */
const SHARE = 0.1;
/** Fewer videos than this are all trained on: one of them would say nothing. */
const LEAST_VIDEOS = 5;

/**
 * Splits questions into those to train on and those kept apart for the held-out accuracy: a tenth of the videos, with
 * all questions about them, chosen by their names alone. So the split is the same in every run, in any order of the
 * lines, and no held-out video is ever trained on. Of fewer than five videos none is held out.
 */
export function splitHeldOut<Q extends { video_filename: string }>(
  questions: readonly Q[],
): { training: Q[]; heldOut: Q[] } {
  const names = [...new Set(questions.map(({ video_filename }) => video_filename))];
  if (names.length < LEAST_VIDEOS) return { training: [...questions], heldOut: [] };
  const ranked = names.map((name) => ({ name, hash: hashText(name) }));
  ranked.sort((a, b) => a.hash - b.hash || (a.name < b.name ? -1 : 1));
  const apart = new Set(ranked.slice(0, Math.ceil(SHARE * names.length)).map(({ name }) => name));
  return {
    training: questions.filter(({ video_filename }) => !apart.has(video_filename)),
    heldOut: questions.filter(({ video_filename }) => apart.has(video_filename)),
  };
}

/** Which of `count` questions is number `number` of a run: every pass over them is shuffled anew, by the seed. */
export function shuffledIndex(seed: number, number: number, count: number): number {
  const pass = Math.floor(number / count);
  const order = Array.from({ length: count }, (_, i) => i);
  return new ToyRng(seed * 1_000_003 + pass).shuffle(order)[number % count]!;
}

/** FNV-1a over UTF-16 code units, 32 bits, well mixed. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  return (hash ^ (hash >>> 15)) >>> 0;
}
