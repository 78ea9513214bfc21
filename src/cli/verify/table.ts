import type { StageResult } from './report';

const WIDTHS = [38, 12, 12, 10];

function row(cells: readonly string[], last: string): string {
  return `${cells.map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[0]!) : cell.padStart(WIDTHS[i]!))).join(' ')}  ${last}`;
}

/** Head of the table of stages. */
export const TABLE_HEAD = row(['stage', 'max abs', 'max rel', 'tolerance'], 'ok');

/** One line of the table. */
export function tableRow({ name, max_abs, max_rel, tolerance, ok }: StageResult): string {
  return row(
    [name, number(max_abs), number(max_rel), tolerance ? number(tolerance) : 'equal'],
    ok ? 'ok' : 'FAIL',
  );
}

function number(value: number): string {
  if (value === Number.MAX_VALUE) return 'differs';
  return value === 0 ? '0' : value.toExponential(1);
}
