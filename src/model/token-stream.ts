import type { DecodeOptions, Tokenizer } from './tokenizer';

/**
 * Text of a sequence of ids as they come. A character whose bytes are spread over several tokens comes out with the
 * last of them; the concatenation of everything returned equals `tokenizer.decode` of all ids.
 */
export class TokenStream {
  private readonly tokenizer: Tokenizer;
  private readonly skipSpecial: boolean;
  private decoder = newDecoder();

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.tokenizer = tokenizer;
    this.skipSpecial = options.skip_special_tokens ?? true;
  }

  /** Adds an id and returns the text that is certain now ('' where a character is not complete yet). */
  push(id: number): string {
    if (this.tokenizer.isAdded(id)) {
      if (this.skipSpecial && this.tokenizer.isSpecial(id)) return '';
      return this.end() + new TextDecoder().decode(this.tokenizer.tokenBytes(id));
    }
    return this.decoder.decode(this.tokenizer.tokenBytes(id), { stream: true });
  }

  /** Ends the sequence: U+FFFD for a character that never became complete, else ''. */
  end(): string {
    const rest = this.decoder.decode();
    this.decoder = newDecoder();
    return rest;
  }
}

function newDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}
