/**
 * A shader's text without comments, indents and empty lines. WGSL has no strings to mind. Ends with a line's end, as the
 * file does: texts are put behind each other.
 * @param {string} code
 */
export function withoutComments(code) {
  const lines = code.split('\n').map((line) => line.replace(/\/\/.*$/, '').trim());
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}
