/** Settings that would work in the place of those that do not. Each alone is enough. */
export interface GenerationSuggestions {
  num_generations?: number;
  max_new_tokens?: number;
}

/** Why answers cannot be written with these settings; `message` and `title` are sentences for the user. */
export class GenerationError extends Error {
  override name = 'GenerationError';
  constructor(
    readonly code: 'out-of-memory' | 'too-long' | 'bad-request',
    readonly title: string,
    message: string,
    readonly suggestions: GenerationSuggestions = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
