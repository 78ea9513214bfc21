import type { SampleRecord } from '../generate/sampler';
import { ThinkParser } from '../generate/think-parser';
import type { Trace } from '../generate/trace';
import { TokenStream } from '../model/token-stream';
import type { Tokenizer } from '../model/tokenizer';
import type { FinishReason, TokenInfo } from './protocol';

/** One answer as it grows: its text, its trace, its tokens that have not been posted. */
export class AnswerText {
  /** Why the answer ended; undefined while it is being written. */
  reason: FinishReason | undefined;
  /** Tokens drawn so far, the end-of-text token included. */
  newTokens = 0;
  /** `performance.now()` when the first and the latest token were read back; 0 before. */
  firstToken = 0;
  latestToken = 0;
  private readonly stream: TokenStream;
  private readonly parser: ThinkParser;
  private fresh: TokenInfo[] = [];

  /** @param forced tokens that the answer begins with: they are in the trace, and not among the new ones. */
  constructor(
    private readonly tokenizer: Tokenizer,
    options: readonly string[],
    forced: readonly number[],
  ) {
    this.stream = new TokenStream(tokenizer);
    this.parser = new ThinkParser(options);
    for (const id of forced) this.parser.add(this.stream.push(id));
  }

  /** Adds a token that was drawn. The end-of-text token ends the answer. */
  push(record: SampleRecord): void {
    const text = this.stream.push(record.id);
    this.parser.add(text);
    this.fresh.push(describeToken(this.tokenizer, record, text));
    this.newTokens += 1;
    this.latestToken = performance.now();
    this.firstToken ||= this.latestToken;
    if (record.id === this.tokenizer.eos_token_id) this.reason = 'eos';
  }

  /** Ends the answer, for this reason where it has none yet, and returns its trace. */
  end(reason: FinishReason): Trace {
    this.reason ??= reason;
    return this.parser.end(this.stream.end());
  }

  /** The trace as it stands. */
  trace(): Trace {
    return this.parser.trace();
  }

  /** The tokens since the last call. */
  takeTokens(): TokenInfo[] {
    const { fresh } = this;
    this.fresh = [];
    return fresh;
  }
}

function describeToken(tokenizer: Tokenizer, record: SampleRecord, text: string): TokenInfo {
  const { id, prob, logp, rank, entropy, survivors, top } = record;
  return {
    id,
    text,
    prob,
    logp,
    rank: rank + 1,
    entropy,
    alternatives: top.map((token, i) => ({
      id: token.id,
      text: tokenizer.decode([token.id], { skip_special_tokens: false }),
      prob: token.probability,
      kept: i < survivors,
    })),
  };
}
