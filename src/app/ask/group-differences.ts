import type { SampleState } from '../store/engine-state';

type Tokens = Pick<SampleState, 'tokens' | 'count' | 'status'>;

/** A part of an answer that begins with the same tokens in the same other answers. */
export interface SharedPart {
  /** Tokens `[start, end)`. */
  start: number;
  end: number;
  /** Indices of the other answers that are the same up to `end`. */
  with: number[];
  /** Answers that were the same up to `start` and go on otherwise, with the token that they have there ('' at their end). */
  left: { sample: number; text: string }[];
}

/**
 * Divides one answer of a group by where the others leave it: together they are a tree, and its parts are the way from
 * the root to this answer's leaf. Two answers are the same as long as all tokens from the first on are.
 */
export function sharedParts(samples: readonly Tokens[], index: number): SharedPart[] {
  const own = samples[index]!;
  const same = samples.map((other, i) => (i === index ? own.count : samePrefix(own, other)));
  // One that is still being written and has said nothing else yet has not left.
  const leaves = (i: number) =>
    same[i]! < own.count && !(same[i] === samples[i]!.count && isLive(samples[i]!));
  const places = [...new Set(same.filter((_, i) => i !== index && leaves(i)))].sort((a, b) => a - b);
  const bounds = [...new Set([0, ...places, own.count])];
  return bounds.slice(0, -1).map((start, part) => {
    const others = samples.flatMap((_, i) => (i === index ? [] : [i]));
    return {
      start,
      end: bounds[part + 1]!,
      with: others.filter((i) => same[i]! > start && samples[i]!.count > 0),
      left: others
        .filter((i) => same[i] === start && leaves(i))
        .map((i) => ({ sample: i, text: start < samples[i]!.count ? samples[i]!.tokens[start]!.text : '' })),
    };
  });
}

/** How many tokens two answers have in common from the first on. */
export function samePrefix(a: Tokens, b: Tokens): number {
  const most = Math.min(a.count, b.count);
  let at = 0;
  while (at < most && a.tokens[at]!.id === b.tokens[at]!.id) at += 1;
  return at;
}

/** For every sentence of the group, without regard to case and spaces, the answers that have it. */
export function sentenceOwners(samples: readonly Pick<SampleState, 'trace'>[]): Map<string, number[]> {
  const owners = new Map<string, number[]>();
  samples.forEach(({ trace }, index) => {
    for (const { text } of trace?.sentences ?? []) {
      const key = sentenceKey(text);
      const list = owners.get(key);
      if (!list) owners.set(key, [index]);
      else if (list.at(-1) !== index) list.push(index);
    }
  });
  return owners;
}

/** The form in which sentences are compared. */
export function sentenceKey(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, ' ');
}

function isLive({ status }: Tokens): boolean {
  return status === 'prefill' || status === 'streaming';
}
