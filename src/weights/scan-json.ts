/** What JSON may look like before it is parsed: parsing takes many times its bytes. */
export interface JsonLimits {
  /** Objects and lists inside of each other. */
  depth: number;
  /** Values in all, keys included. */
  values: number;
}

/** Why JSON must not be parsed, or undefined; its syntax is left to the parser. */
export interface JsonScan {
  problem?: string;
  /** A key that the outermost object has twice. */
  doubled?: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Goes over UTF-8 JSON once, with no more memory than its outermost keys take: how deep it is, how many values it
 * has, and whether a key of the outermost object stands twice (a parser would silently take the last one).
 */
export function scanJson(bytes: Uint8Array, limits: JsonLimits): JsonScan {
  const keys = new Set<string>();
  let depth = 0;
  let values = 0;
  let lastString: [number, number] | undefined;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      const start = i++;
      while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
      lastString = [start, i + 1];
      continue;
    }
    // `{` and `[` differ from their ends by two, and are no other bytes' parts in UTF-8.
    if (byte === 0x7b || byte === 0x5b) {
      depth++;
      values++;
      if (depth > limits.depth) return { problem: `it is nested more than ${limits.depth} deep` };
    } else if (byte === 0x7d || byte === 0x5d) depth--;
    else if (byte === COMMA || byte === COLON) {
      values++;
      if (byte === COLON && depth === 1 && lastString) {
        const key = keyAt(bytes, lastString);
        if (keys.has(key)) return { doubled: key };
        keys.add(key);
      }
    }
    if (values > limits.values) return { problem: `it has more than ${limits.values} values` };
  }
  return {};
}

/** A key with its escapes resolved, so that two spellings of one key are the same. */
function keyAt(bytes: Uint8Array, [start, end]: [number, number]): string {
  const text = new TextDecoder().decode(bytes.subarray(start, end));
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}
