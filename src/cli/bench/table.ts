import type { BenchCase, BenchDevice, LinearCase, Target } from '../../bench/report';

const WIDTHS = [10, 40, 6, 10, 9, 8, 9, 11, 11, 11];

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i < 3 ? cell.padEnd(WIDTHS[i]!) : cell.padStart(WIDTHS[i]!)))
    .join(' ')
    .trimEnd();
}

/** Head of the table of cases. */
export const TABLE_HEAD = row([
  'kernel',
  'shape',
  'dtype',
  'ms',
  'GFLOP/s',
  'GB/s',
  'roofline',
  'x runtime',
  'x copied',
  'x unfused',
]);

/** The device and its ceilings, in a line. */
export function describeDevice(device: BenchDevice): string {
  const name = device.description || [device.vendor, device.architecture].filter(Boolean).join(' ');
  const f16 = device.f16_gflops === null ? 'no f16' : `${number(device.f16_gflops)} GFLOP/s in f16`;
  return (
    `${name}${device.isFallback ? ' (a CPU adapter)' : ''}: copies ${number(device.copy_gbps)} GB/s, ` +
    `${number(device.f32_gflops)} GFLOP/s in f32, ${f16}.`
  );
}

/** One line of the table. The runtime's ratio is marked where its values were wrong. */
export function tableRow(found: BenchCase | LinearCase): string {
  const linear = 'pass' in found ? found : undefined;
  const ratio = (value: number | null) => (value === null ? '-' : value.toFixed(2));
  return row([
    linear?.pass === 'input-gradient' ? 'gradient' : found.kernel,
    found.shape,
    linear ? linear.weights : found.dtype,
    number(found.ms),
    number(found.gflops),
    number(found.gbps),
    `${(100 * found.roofline_share).toFixed(0)} %`,
    ratio(found.vs_runtime) + (found.runtime_values_ok === false ? '!' : ''),
    ratio(found.vs_copied_prefix),
    ratio(found.vs_unfused),
  ]);
}

/** One line of what was asked for and what was found. */
export function describeTarget({ name, met, of, worst, limit, shape, ok }: Target): string {
  const found = of === 0 ? 'not measured' : `${met} of ${of}, worst ${worst.toFixed(2)} at ${shape}`;
  return `${ok ? 'met   ' : 'MISSED'} ${name} (limit ${limit}): ${found}`;
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
