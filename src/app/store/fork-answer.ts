import type { SamplingSettings, TokenInfo, Trace } from '../../worker/protocol';
import type { SampleState } from './engine-state';

/**
 * What a fork begins with: the tokens that it shares with `sample`, and as its last one the alternative that was
 * chosen at token `position`. Undefined where there is no such token or alternative.
 */
export function forkedSample(
  sample: SampleState,
  position: number,
  alternative: number,
  settings: SamplingSettings,
): SampleState | undefined {
  const token = position < sample.count ? sample.tokens[position] : undefined;
  const forced = token && alternativeToken(token, alternative, settings.temperature);
  if (!forced) return undefined;
  const tokens = [...sample.tokens.slice(0, position), forced];
  return { status: 'prefill', tokens, count: tokens.length, trace: sharedTrace(sample.trace, tokens) };
}

/**
 * What is known of a token's alternative, as if it had been drawn: it comes from the same distribution, so entropy and
 * alternatives are the same. Undefined where it is not among them, or is the token itself.
 */
export function alternativeToken(token: TokenInfo, id: number, temperature: number): TokenInfo | undefined {
  const index = token.alternatives.findIndex((alternative) => alternative.id === id);
  if (index < 0 || id === token.id) return undefined;
  const { text, prob } = token.alternatives[index]!;
  // Probabilities are those of softmax(logits / temperature); at temperature 1 their logarithms are as far apart as
  // the logits. Greedy ones are taken at temperature 1.
  const scale = temperature === 0 ? 1 : temperature;
  const logp = token.logp + scale * (Math.log(prob) - Math.log(token.prob));
  return { ...token, id, text, prob, logp, rank: index + 1 };
}

/** The trace of the shared part, until the engine sends that of the whole. */
function sharedTrace(trace: Trace | undefined, tokens: readonly TokenInfo[]): Trace {
  const count = tokens.length;
  const text = tokens.reduce((all, token) => all + token.text, '');
  const sentences = (trace?.sentences ?? [])
    .filter(({ start }) => start < count)
    .map((sentence) =>
      // The token at the fork is another one, so the sentence that holds it is not the one that was marked.
      sentence.end < count ? sentence : { text: '', start: sentence.start, end: count },
    );
  return { phase: text.includes('</think>') ? 'between' : 'think', text, sentences, problems: [] };
}
