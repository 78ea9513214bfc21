import type { ReactNode } from 'react';

const filled = { fill: 'currentColor', stroke: 'none' };

const ICONS = {
  play: <path d="M5 3.2v9.6L12.8 8z" {...filled} />,
  pause: <path d="M5.2 3.5v9M10.8 3.5v9" strokeWidth="2.2" />,
  stop: <rect x="4" y="4" width="8" height="8" rx="1.2" {...filled} />,
  loop: <path d="M3 8a5 5 0 1 0 1.6-3.7M3 2.6v2.6h2.6" />,
  swap: <path d="M3 5.5h9M9.6 3 12 5.5 9.6 8M13 10.5H4M6.4 8 4 10.5 6.4 13" />,
  check: <path d="m3.2 8.4 3.1 3.1 6.5-7" />,
  x: <path d="m4 4 8 8M12 4l-8 8" />,
  down: <path d="m4.5 6.3 3.5 3.5 3.5-3.5" />,
  right: <path d="m6.3 4.5 3.5 3.5-3.5 3.5" />,
  left: <path d="M9.7 4.5 6.2 8l3.5 3.5" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="2.8" />
      <path d="M8 1.6v1.6M8 12.8v1.6M1.6 8h1.6M12.8 8h1.6M3.5 3.5l1.1 1.1M11.4 11.4l1.1 1.1M12.5 3.5l-1.1 1.1M4.6 11.4l-1.1 1.1" />
    </>
  ),
  moon: <path d="M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6Z" />,
  screen: <path d="M2.4 3.2h11.2v7.6H2.4zM5.6 13.2h4.8" />,
  help: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M6.3 6.4c.1-1 .8-1.6 1.8-1.6s1.8.6 1.8 1.5c0 1.3-1.8 1.3-1.8 2.6" />
      <circle cx="8.1" cy="11.2" r=".5" fill="currentColor" />
    </>
  ),
  file: <path d="M4 2.4h5l3 3v8.2H4zM9 2.4v3h3" />,
  dice: (
    <>
      <rect x="2.8" y="2.8" width="10.4" height="10.4" rx="2" />
      <circle cx="5.8" cy="5.8" r=".7" fill="currentColor" />
      <circle cx="10.2" cy="10.2" r=".7" fill="currentColor" />
      <circle cx="8" cy="8" r=".7" fill="currentColor" />
    </>
  ),
  plus: <path d="M8 3.4v9.2M3.4 8h9.2" />,
  minus: <path d="M3.4 8h9.2" />,
  chip: (
    <>
      <rect x="4" y="4" width="8" height="8" rx="1" />
      <path d="M6.4 1.8V4M9.6 1.8V4M6.4 12v2.2M9.6 12v2.2M1.8 6.4H4M1.8 9.6H4M12 6.4h2.2M12 9.6h2.2" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 7.4v3.6" />
      <circle cx="8" cy="5" r=".5" fill="currentColor" />
    </>
  ),
  folder: <path d="M2.4 4.2h4l1.4 1.6h5.8v7H2.4z" />,
  copy: (
    <>
      <rect x="5.4" y="5.4" width="8" height="8.2" rx="1.2" />
      <path d="M10.6 5.2V2.6H2.6v8.2h2.6" />
    </>
  ),
  link: (
    <path d="M6.8 9.2a2.4 2.4 0 0 1 0-3.4l2-2a2.4 2.4 0 0 1 3.4 3.4l-1 1M9.2 6.8a2.4 2.4 0 0 1 0 3.4l-2 2a2.4 2.4 0 0 1-3.4-3.4l1-1" />
  ),
  download: <path d="M8 2.6v7.2M5 7l3 3 3-3M3 13.2h10" />,
  fork: (
    <>
      <circle cx="4" cy="3.6" r="1.6" />
      <circle cx="4" cy="12.4" r="1.6" />
      <circle cx="12" cy="5.6" r="1.6" />
      <path d="M4 5.2v5.6M12 7.2c0 2.4-3 2.6-5.4 3" />
    </>
  ),
  full: <path d="M2.6 6V2.6H6M10 2.6h3.4V6M13.4 10v3.4H10M6 13.4H2.6V10" />,
  lock: (
    <>
      <rect x="3.6" y="7" width="8.8" height="6.4" rx="1.2" />
      <path d="M5.4 7V5a2.6 2.6 0 0 1 5.2 0v2" />
    </>
  ),
  save: <path d="M3 3h8l2 2v8H3zM5.4 3v3.4h4.8V3M5 13V9.4h6V13" />,
  trash: <path d="M3 4.6h10M6.4 4.4V2.8h3.2v1.6M4.4 4.8l.6 8.4h6l.6-8.4" />,
  edit: <path d="M3 13l.8-3.2 7-7 2.4 2.4-7 7z" />,
  back: <path d="M13 8H3.4M7 4 3 8l4 4" />,
  panel: <path d="M2.4 3h11.2v10H2.4zM10 3v10" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof ICONS;

/** A line icon of 16 units. Always beside a word or a label: it is hidden from screen readers. */
export function Icon({ name, size = 16, weight = 1.4 }: { name: IconName; size?: number; weight?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={weight}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {ICONS[name]}
    </svg>
  );
}

/** The page's mark: the grid of the toy world. */
export function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
      <rect
        x=".6"
        y=".6"
        width="18.8"
        height="18.8"
        rx="4"
        fill="none"
        stroke="var(--ctl-line)"
        strokeWidth="1.2"
      />
      <path d="M7 1v18M13 1v18M1 7h18M1 13h18" stroke="var(--line-strong)" strokeWidth="1" />
      <circle cx="4" cy="4" r="2.1" fill="var(--toy-red)" />
      <circle cx="10" cy="10" r="2.1" fill="var(--text)" />
    </svg>
  );
}
