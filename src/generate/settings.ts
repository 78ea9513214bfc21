/** How tokens are drawn. Names and meaning as in Hugging Face's GenerationConfig. */
export interface SamplingSettings {
  /** 0: greedy. */
  temperature: number;
  /** 0 keeps the whole vocabulary. */
  top_k: number;
  /** 1 keeps the whole distribution. */
  top_p: number;
  /** Leaves out tokens less probable than this share of the likeliest one's probability. 0, the default: none. */
  min_p?: number;
  max_new_tokens: number;
  /** Whole, from 0 to 2^53 - 1. */
  seed: number;
}

/** What of the settings decides one draw. */
export type DrawSettings = Omit<SamplingSettings, 'max_new_tokens'>;
