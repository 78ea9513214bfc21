import type { TokenInfo } from '../../worker/protocol';
import type { GpuState } from '../store/engine-state';

export { formatBytes } from '../../worker/protocol';

/** Milliseconds as a number and its unit: 84 ms, 2.31 s. */
export function splitDuration(ms: number): { value: string; unit: 'ms' | 's' } {
  return ms < 1000
    ? { value: ms.toFixed(0), unit: 'ms' }
    : { value: (ms / 1000).toFixed(ms < 10_000 ? 2 : 1), unit: 's' };
}

/** "84 ms". */
export function formatDuration(ms: number): string {
  const { value, unit } = splitDuration(ms);
  return `${value} ${unit}`;
}

/** A time in a video: "1.38 s" below a minute, "2:05" above. */
export function formatTime(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, '0');
  return minutes < 60
    ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${rest}`;
}

/** Two digits below 0.995, so that a probability that is not 1 does not read as 1 unless it rounds there. */
export function formatProbability(prob: number): string {
  return prob > 0 && prob < 0.005 ? '<0.01' : prob.toFixed(2);
}

/** With its sign, a true minus (U+2212) for what is below zero: "+1.56", "−0.53", "0.00". */
export function formatSigned(value: number): string {
  const digits = Math.abs(value).toFixed(2);
  if (Number(digits) === 0) return digits;
  return `${value < 0 ? '−' : '+'}${digits}`;
}

/** The class of a signed number's colour: blue above zero, vermilion below, none where it reads as 0.00. */
export function signTone(value: number): 'pos' | 'neg' | '' {
  return Math.abs(value) < 0.005 ? '' : value < 0 ? 'neg' : 'pos';
}

/**
 * A token's own text; for one that has none (it ends the answer, or continues a character) the name that it has among
 * its alternatives.
 */
export function tokenName({ id, text, alternatives }: TokenInfo): string {
  return text || (alternatives.find((alternative) => alternative.id === id)?.text ?? '');
}

/** A token with its spaces and breaks made visible. */
export function visibleToken(text: string): string {
  if (text === '') return '∅';
  return text.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
}

/** The adapter in words: its name, and what of the faster paths it has. */
export function describeAdapter({ adapter, f16, subgroups }: GpuState): string {
  const name = adapter.description || [adapter.vendor, adapter.architecture].filter(Boolean).join(' ');
  const { subgroupMinSize: min, subgroupMaxSize: max } = adapter;
  const sizes = min && max ? ` ${min === max ? min : `${min} to ${max}`}` : '';
  return [
    name,
    adapter.isFallback ? 'on the CPU, slow' : '',
    f16 ? 'f16 shaders' : 'f32 shaders only',
    subgroups ? `subgroups${sizes}` : 'no subgroups',
  ]
    .filter(Boolean)
    .join(', ');
}

/** A large count as people say it: 987, 12.3 k, 1.63 M, 3.60 B. */
export function formatCount(count: number): string {
  if (count < 1000) return String(count);
  const units = ['k', 'M', 'B'];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toPrecision(3)} ${units[unit]}`;
}
