const CHANNEL = 'runs';

/** Word between tabs that runs on disk have changed. */
export interface RunChanges {
  /** Tells the other tabs. */
  tell(): void;
}

/** A broadcast channel: `onChange` is called for what other tabs tell, as often as they do. */
export function tabRunChanges(onChange: () => void): RunChanges {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = onChange;
  return { tell: () => channel.postMessage('changed') };
}
