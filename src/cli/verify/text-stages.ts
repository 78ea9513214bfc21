import { renderPrompt } from '../../model/prompt';
import type { Tokenizer } from '../../model/tokenizer';
import type { ReferenceText } from './reference';
import type { StageList } from './report';

function same(a: ArrayLike<number>, b: ArrayLike<number> | undefined): boolean {
  return b !== undefined && a.length === b.length && Array.prototype.every.call(a, (id, i) => id === b[i]);
}

/** `text.encode`, `text.decode`, `text.templates`: how many cases of text.json differ. */
export function verifyText(list: StageList, tokenizer: Tokenizer, text: ReferenceText): void {
  const { encode = [], templates = [] } = text;
  if (encode.length) {
    list.count(
      'text.encode',
      encode.filter((item) => !same(tokenizer.encode(item.text), item.ids)).length,
      encode.length,
    );
    const wrong = encode.filter(({ ids, decoded, decoded_skip_special }) => {
      const all = tokenizer.decode(ids, { skip_special_tokens: false });
      const shown = tokenizer.decode(ids);
      return all !== (decoded ?? all) || shown !== (decoded_skip_special ?? shown);
    });
    list.count('text.decode', wrong.length, encode.length);
  }
  if (templates.length) {
    const wrong = templates.filter(({ mode, question, answer, prompt, input_ids, labels }) => {
      if (mode === 'train') {
        const encoded = tokenizer.encodeTraining(question, answer ?? '');
        return !same(encoded.input_ids, input_ids) || (labels && !same(encoded.labels, labels));
      }
      const rendered = renderPrompt(question, answer);
      return rendered !== (prompt ?? rendered) || !same(tokenizer.encodePrompt(rendered), input_ids);
    });
    list.count('text.templates', wrong.length, templates.length);
  }
}
