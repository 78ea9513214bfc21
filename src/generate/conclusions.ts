// Words that say nothing about which option is meant.
const STOP_WORDS = new Set(
  'a an and are as at be by do does for from had has have he her his i in is it its of on or she that the their them there they this to was were which with'.split(
    ' ',
  ),
);

const CUE =
  /^(?:so|therefore|thus|hence|then|now|in conclusion|overall)\b|\b(?:I think|I believe|I guess|it must be|must be|the answer is|the correct (?:answer|option) is|this means|which means|I conclude)\b/i;
const DENIAL =
  /\b(?:not|never|neither|nor|rather than|instead of|no longer|unlike|except|or|either|if|whether)\b|n['’]t\b|\?/i;

function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/**
 * The option that a sentence settles on, as an index, or undefined. Only clear cases count: a sentence with a word of
 * conclusion ("So ...", "I think ..."), without denial or question, that has a word of one option which no other
 * option shares, and no such word of another. Word forms must agree.
 */
export function concludedOption(sentence: string, options: readonly string[]): number | undefined {
  if (options.length < 2 || !CUE.test(sentence) || DENIAL.test(sentence)) return undefined;
  const cue = /\b(?:answer|option) is \(?([A-Z])\)?(?![\p{L}\p{N}])/u.exec(sentence)?.[1];
  if (cue) {
    const index = cue.charCodeAt(0) - 65;
    return index < options.length ? index : undefined;
  }
  const said = new Set(words(sentence));
  const own = options.map((option) => new Set(words(option).filter((word) => !STOP_WORDS.has(word))));
  const named: number[] = [];
  for (const [i, set] of own.entries()) {
    const unique = [...set].filter((word) => !own.some((other, j) => j !== i && other.has(word)));
    if (unique.some((word) => said.has(word))) named.push(i);
  }
  if (named.length === 1) return named[0];
  // Options without words of their own ("red circle", "red square", "blue circle"): all of an option's words.
  if (named.length) return undefined;
  const whole = own.flatMap((set, i) => (set.size && [...set].every((word) => said.has(word)) ? [i] : []));
  return whole.length === 1 ? whole[0] : undefined;
}
