const DISCARD = 'The load is cancelled, and what was kept of it goes too.';

/** Why a load is aborted whose kept files go with it. */
export function discardReason(): DOMException {
  return new DOMException(DISCARD, 'AbortError');
}

/** Whether what was kept of a load goes with it. */
export function isDiscarded({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof DOMException && reason.message === DISCARD;
}
