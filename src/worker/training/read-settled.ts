/**
 * What `read` gives, read again where `mark` has changed meanwhile: what was read before a run began or ended must not be
 * told after that was.
 */
export async function readSettled<T>(mark: () => readonly unknown[], read: () => Promise<T>): Promise<T> {
  for (;;) {
    const before = mark();
    const value = await read();
    const after = mark();
    if (after.every((one, index) => one === before[index])) return value;
  }
}
