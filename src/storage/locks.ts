/** Names that one tab holds at a time. */
export interface Locks {
  /** Takes a name; undefined where someone has it, else what gives it back. */
  take(name: string): Promise<(() => void) | undefined>;
  /** Names that are held, here or in another tab. */
  held(): Promise<Set<string>>;
}

/** Web Locks: a tab that closes gives back what it held. */
export const webLocks: Locks = {
  take(name) {
    return new Promise((resolve, reject) => {
      navigator.locks
        .request(name, { ifAvailable: true }, (lock) => {
          if (!lock) {
            resolve(undefined);
            return undefined;
          }
          return new Promise<void>((release) => resolve(release));
        })
        .catch(reject);
    });
  },
  async held() {
    const { held = [] } = await navigator.locks.query();
    return new Set(held.flatMap(({ name }) => name ?? []));
  },
};
