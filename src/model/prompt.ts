import { pythonStrip } from './python-text';

/** Stands for the video in a prompt's text; it is not a token. */
export const IMAGE_PLACEHOLDER = '<image>';

const SYSTEM =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. ";

/** Ends an answer in training text, whatever the tokenizer's own name for EOS. */
export const END_OF_TEXT = '<|endoftext|>';

/** Asks for a trace; literal in the original's training and evaluation code. */
export const REASONING_INSTRUCTION =
  'Output the thinking process in <think> </think> and final answer (option) in <answer> </answer> tags.';

/** Asks for the letter alone: the prompt of the models that do not reason. */
export const OPTION_INSTRUCTION = "Answer with the option's letter from the given choices directly.";

/** How `buildPrompt` asks. */
export interface PromptOptions {
  /** True (default): ask for a trace. False: ask for the option's letter directly. */
  reasoning?: boolean;
  /** True: join the instruction by one space, as GRPO training does; else by a newline, as evaluation does. */
  training?: boolean;
  /** False: a prompt without a video. */
  image?: boolean;
}

/**
 * The prompt of a question as the original builds it: system text, `USER: <image>`, the question with its options, the
 * instruction, `ASSISTANT:`.
 * @param question the question's text, options included (see `withOptions`).
 */
export function buildPrompt(question: string, options: PromptOptions = {}): string {
  const instruction = options.reasoning === false ? OPTION_INSTRUCTION : REASONING_INSTRUCTION;
  const text = `${question}${options.training ? ' ' : '\n'}${instruction}`;
  return renderPrompt(options.image === false ? text : `${IMAGE_PLACEHOLDER}\n${text}`);
}

/** A multiple-choice question in the form of the training data: `Options:` and a line `A. ...` for each. */
export function withOptions(question: string, options: readonly string[]): string {
  if (!options.length) return question;
  const lines = options.map((option, i) => `${String.fromCharCode(65 + i)}. ${option}`);
  return `${question}\nOptions:\n${lines.join('\n')}`;
}

/**
 * The template `qwen2_base`: every `<image>` is removed from the message, the rest stripped, and one put before it.
 * @param answer null for inference; a text for training, which is then ended by `<|endoftext|>`.
 */
export function renderPrompt(message: string, answer: string | null = null): string {
  const user = message.includes(IMAGE_PLACEHOLDER)
    ? pythonStrip(`${IMAGE_PLACEHOLDER}\n${pythonStrip(message.replaceAll(IMAGE_PLACEHOLDER, ''))}`)
    : message;
  const assistant = answer === null ? 'ASSISTANT:' : `ASSISTANT: ${answer}${END_OF_TEXT}`;
  return `${SYSTEM}USER: ${user} ${assistant}`;
}
