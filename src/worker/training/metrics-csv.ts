/**
 * Lines of numbers as CSV (RFC 4180): the union of their keys as columns, `step` first, in the order in which they
 * first occur; a number that a line lacks is an empty field.
 */
export function metricsCsv(lines: readonly Readonly<Record<string, number>>[]): string {
  const columns = new Set(['step', ...lines.flatMap((line) => Object.keys(line))]);
  const names = [...columns];
  const rows = lines.map((line) => names.map((name) => line[name] ?? '').join(','));
  return [names.map(quoted).join(','), ...rows].map((row) => `${row}\r\n`).join('');
}

function quoted(name: string): string {
  return /[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
