/** Names that one tab holds at a time. */
export interface Locks {
  /** Takes a name; undefined where someone has it, else what gives it back. */
  take(name: string): Promise<(() => void) | undefined>;
  /** Names that are held, here or in another tab. */
  held(): Promise<Set<string>>;
}

/** Milliseconds in which what was just stopped gives back its name. */
const PATIENCE = 1500;

/** Web Locks: a tab that closes gives back what it held. One that has a name for longer than a moment keeps it. */
export const webLocks: Locks = {
  take(name) {
    return new Promise((resolve, reject) => {
      navigator.locks
        .request(
          name,
          { signal: AbortSignal.timeout(PATIENCE) },
          () => new Promise<void>((release) => resolve(release)),
        )
        .catch((cause: unknown) => {
          if (cause instanceof DOMException && ['TimeoutError', 'AbortError'].includes(cause.name))
            resolve(undefined);
          else reject(cause);
        });
    });
  },
  async held() {
    const { held = [] } = await navigator.locks.query();
    return new Set(held.flatMap(({ name }) => name ?? []));
  },
};
