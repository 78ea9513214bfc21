/**
 * What Python's `str.strip` and `\s` take for white space: U+001C to U+001F and U+0085 are, U+FEFF is not. JavaScript
 * has it the other way round. For use inside of a character class.
 */
export const PYTHON_SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const AROUND = new RegExp(`^[${PYTHON_SPACE}]+|[${PYTHON_SPACE}]+$`, 'g');

/** Python's `text.strip()`. */
export function pythonStrip(text: string): string {
  return text.replace(AROUND, '');
}

/** Python's `len(text)`: Unicode code points. */
export function pythonLength(text: string): number {
  let points = 0;
  for (const _ of text) points += 1;
  return points;
}
