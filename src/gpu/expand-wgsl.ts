/**
 * Unrolls the marked loops of a WGSL text, so that what they index becomes plain variables (registers):
 * the lines between `#for x in N` and `#end` are repeated with `$x` replaced by 0, 1, .. N-1.
 * N is a number or one of `counts`; a count of 0 or 1 also serves as a condition. Loops may be nested.
 * A line `#use x` stands for the text `parts.x`, which kernels share; it is put in first.
 * @throws Error naming the line where a loop is malformed, or the part that is not there.
 */
export function expandWgsl(
  code: string,
  counts: Readonly<Record<string, number>>,
  parts: Readonly<Record<string, string>> = {},
): string {
  const lines = code.split('\n').flatMap((line) => {
    const name = /^\s*#use (\w+)\s*$/.exec(line)?.[1];
    if (name === undefined) return [line];
    const part = parts[name];
    if (part === undefined) throw new Error(`No part is named ${name}.`);
    return part.split('\n');
  });
  const out: string[] = [];
  const end = expand(lines, 0, counts, [], out);
  if (end < lines.length) throw new Error(`Line ${end + 1}: #end without #for.`);
  return out.join('\n');
}

function expand(
  lines: readonly string[],
  from: number,
  counts: Readonly<Record<string, number>>,
  values: readonly (readonly [string, number])[],
  out: string[],
): number {
  let i = from;
  for (; i < lines.length; i++) {
    const line = lines[i]!;
    const loop = /^\s*#for (\w+) in (\w+)\s*$/.exec(line);
    if (loop) {
      const name = loop[1]!;
      const count = /^\d+$/.test(loop[2]!) ? Number(loop[2]) : counts[loop[2]!];
      if (count === undefined) throw new Error(`Line ${i + 1}: no count is named ${loop[2]}.`);
      let end = -1;
      const scrap: string[] = [];
      if (count === 0) end = expand(lines, i + 1, counts, [...values, [name, 0]], scrap);
      for (let n = 0; n < count; n++) end = expand(lines, i + 1, counts, [...values, [name, n]], out);
      if (end >= lines.length) throw new Error(`Line ${i + 1}: #for without #end.`);
      i = end;
    } else if (/^\s*#end\s*$/.test(line)) {
      return i;
    } else {
      let text = line;
      for (const [name, n] of values) text = text.replaceAll(`$${name}`, String(n));
      out.push(text);
    }
  }
  return i;
}
