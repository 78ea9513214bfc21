/**
 * Reads a JSON value from localStorage. Undefined where there is none, it is no JSON, or storage is closed to us
 * (private windows, blocked cookies): the page then works without memory.
 */
export function readStored(key: string): unknown {
  try {
    const text = globalThis.localStorage?.getItem(key);
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a JSON value to localStorage. Does nothing where storage is closed or full. */
export function writeStored(key: string, value: unknown): void {
  try {
    globalThis.localStorage?.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing is lost but the memory of this setting.
  }
}
