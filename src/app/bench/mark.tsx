import type { CaseKind } from './bench-facts';

const COLOURS: Record<CaseKind, string> = { attention: '--c1', linear: '--c3', gradient: '--c2' };

/** The mark of a kind of kernel, 10 px: a circle, a square, a triangle. Shape and colour say the same. */
export function MarkShape({ kind }: { kind: CaseKind }) {
  const fill = `var(${COLOURS[kind]})`;
  if (kind === 'attention') return <circle cx="5" cy="5" r="4.2" fill={fill} />;
  if (kind === 'linear') return <rect x="1.2" y="1.2" width="7.6" height="7.6" rx="1" fill={fill} />;
  return <path d="M5 .9 9.4 9H.6z" fill={fill} />;
}

/** The same as an image of its own. */
export function Mark({ kind }: { kind: CaseKind }) {
  return (
    <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
      <MarkShape kind={kind} />
    </svg>
  );
}
