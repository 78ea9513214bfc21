/** Counts the bytes of weights that are in memory while they are loaded. */
export class HeldBytes {
  private bytes = 0;

  /** @param tell called with what is held after each change. */
  constructor(private readonly tell: (bytes: number) => void = () => {}) {}

  /** Adds bytes that are held from now on, or, negative, no longer. */
  add(bytes: number): void {
    this.bytes += bytes;
    this.tell(this.bytes);
  }
}
