import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { useMediaQuery } from '../shared/use-media-query';

/** Pixels from the end within which the panel counts as being at its end. */
const NEAR = 48;

/**
 * A panel that stays at its end while text arrives, until the user scrolls up. Then, and where the system asks for
 * reduced motion, a button leads to the newest text instead.
 */
export function FollowingScroll({
  count,
  live,
  resetKey,
  label = 'Trace and answer',
  children,
}: {
  /** Grows with the text. */
  count: number;
  live: boolean;
  /** A change starts at the top again. */
  resetKey: string;
  /** What a screen reader calls the panel. */
  label?: string;
  children: ReactNode;
}) {
  const panel = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const still = useMediaQuery('(prefers-reduced-motion: reduce)');
  // biome-ignore lint/correctness/useExhaustiveDependencies: another answer starts at its top
  useEffect(() => {
    following.current = true;
    setAway(false);
    if (panel.current) panel.current.scrollTop = 0;
  }, [resetKey]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: more text moves the end
  useLayoutEffect(() => {
    const element = panel.current;
    if (!element) return;
    if (live && following.current && !still) element.scrollTop = element.scrollHeight;
    else setAway(atEnd(element) === false);
  }, [count, live, still]);
  const toEnd = () => {
    following.current = true;
    panel.current?.scrollTo({ top: panel.current.scrollHeight });
  };
  return (
    <div className="scroll-frame">
      <section
        ref={panel}
        className="scroll"
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls must be reachable by keys
        tabIndex={0}
        onScroll={(event) => {
          const end = atEnd(event.currentTarget);
          following.current = end;
          setAway(!end);
        }}
      >
        {children}
      </section>
      {live && away && (
        <button type="button" className="btn to-newest" onClick={toEnd}>
          Newest
        </button>
      )}
    </div>
  );
}

function atEnd(element: HTMLElement): boolean {
  return element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
}
