import { renderPrompt } from '../../src/model/prompt';
import type { Tokenizer } from '../../src/model/tokenizer';

/** text.json of the reference set. */
export interface GoldenText {
  encode: { text: string; ids: number[]; decoded: string; decoded_skip_special: string }[];
  templates: {
    name: string;
    mode: 'eval' | 'train';
    question: string;
    answer: string | null;
    prompt?: string;
    input_ids: number[];
    labels?: number[];
  }[];
}

/** Every difference between a tokenizer and the reference, as a sentence. */
export function compareWithGolden(tokenizer: Tokenizer, golden: GoldenText): string[] {
  const problems: string[] = [];
  const same = (what: string, got: unknown, expected: unknown) => {
    const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
    if (a !== b) problems.push(`${what}: ${a} instead of ${b}`);
  };
  for (const { text, ids, decoded, decoded_skip_special } of golden.encode) {
    same(`encode ${text}`, tokenizer.encode(text), ids);
    same(`decode ${text}`, tokenizer.decode(ids, { skip_special_tokens: false }), decoded);
    same(`decode without special ${text}`, tokenizer.decode(ids), decoded_skip_special);
  }
  for (const { name, mode, question, answer, prompt, input_ids, labels } of golden.templates) {
    if (mode === 'train') {
      const encoded = tokenizer.encodeTraining(question, answer ?? '');
      same(`${name} ids`, [...encoded.input_ids], input_ids);
      same(`${name} labels`, [...encoded.labels], labels);
    } else {
      const text = renderPrompt(question, answer);
      same(`${name} prompt`, text, prompt);
      same(`${name} ids`, [...tokenizer.encodePrompt(text)], input_ids);
    }
  }
  if (!golden.encode.length || !golden.templates.length) problems.push('the reference is empty');
  return problems;
}
