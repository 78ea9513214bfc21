import {
  type KeptModel,
  largestTensor,
  type PlanPart,
  precisionLine,
  type StorageRoom,
  type StoredPlan,
  type TrainingPlan,
} from '../../worker/model-protocol';
import type { AdapterSummary, PartPrecision } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import type { DeskState } from '../store/desk-state';

/** Whether a model fits in one of its precisions, and why not. */
export interface Fit {
  fits: boolean;
  /** It fits, and cannot be kept in this browser. */
  notKept: boolean;
  /** A sentence; empty where there is nothing to say. */
  reason: string;
}

/** What the browser offers on disk: it may not say, or keep no files for this page. */
export type Room = StorageRoom | 'none' | undefined;

/** What is known of the room on disk. */
export function roomOf({ room, error }: Pick<DeskState, 'room' | 'error'>): Room {
  return error?.code === 'no-storage' ? 'none' : room;
}

/** Bytes that the browser still offers. */
export function freeRoom({ quota, usage }: StorageRoom): number {
  return Math.max(0, quota - usage);
}

/**
 * Holds a plan against what the adapter and the browser allow. What is not known is not held against it.
 * @param there bytes of this model that are kept already.
 */
export function fitOf(
  { largest, disk }: StoredPlan,
  adapter: AdapterSummary | undefined,
  room: Room,
  there = 0,
): Fit {
  const buffer = adapter && largestTensor(adapter.limits);
  if (buffer !== undefined && largest.bytes > buffer)
    return {
      fits: false,
      notKept: false,
      reason: `Its largest tensor, ${largest.name}, takes ${formatBytes(largest.bytes)}, and one buffer of this adapter ${formatBytes(buffer)}.`,
    };
  if (room === 'none')
    return {
      fits: true,
      notKept: true,
      reason:
        'This browser keeps no files for this page (a private window, perhaps). It can be loaded, and is loaded anew at each visit.',
    };
  const free = room && freeRoom(room);
  if (free !== undefined && disk - there > free)
    return {
      fits: true,
      notKept: true,
      reason: `Storage is full: keeping it takes ${formatBytes(disk - there)} more and the browser offers ${formatBytes(free)}. It can be loaded, and is loaded anew at each visit.`,
    };
  return { fits: true, notKept: false, reason: '' };
}

/**
 * Tokens a second of one answer where reading the weights is all that takes time: what the adapter copies in a second
 * by what a token reads. No answer is faster.
 */
export function mostTokens({ tokenBytes }: StoredPlan, copy_gbps: number): string {
  const most = (copy_gbps * 1e9) / tokenBytes;
  return most < 10 ? most.toPrecision(2) : String(Math.round(most));
}

/** Why training does not fit one buffer of an adapter, and which settings would; empty where it fits. */
export function trainingRefusal(
  { largestBuffer: bytes, suggestions = {} }: TrainingPlan,
  adapter: AdapterSummary | undefined,
): string {
  const limit = adapter && largestTensor(adapter.limits);
  if (limit === undefined || bytes <= limit) return '';
  const { num_generations, max_completion_length, r } = suggestions;
  const settings = [
    ...(num_generations ? [`${num_generations} answers`] : []),
    ...(max_completion_length ? [`${max_completion_length} new tokens`] : []),
    ...(r ? [`rank ${r}`] : []),
  ];
  const fits = settings.length > 0 ? `${settings.join(', or ')} would fit.` : 'No smaller setting fits.';
  return `Its largest buffer takes ${formatBytes(bytes)}, and one buffer of this adapter ${formatBytes(limit)}. ${fits}`;
}

/** Parts of a model as they are called on the page. */
export const PART_NAMES: Record<PlanPart['name'], string> = {
  language: 'language model',
  embedding: 'embedding and head',
  vision: 'vision encoder',
  connector: 'video resampler',
  other: 'norms and positions',
  caches: 'caches',
};
const PRECISION_NAMES: Record<string, string> = { q4: '4-bit', q8: '8-bit' };

/** A part of a plan in words: "language model, 4-bit". */
export function partName({ name }: PlanPart, { precision }: StoredPlan): string {
  if (name === 'caches') return PART_NAMES.caches;
  return `${PART_NAMES[name]}, ${name === 'other' ? 'f32' : precisionName(precision[name])}`;
}

/** A precision as it is called on the page. */
export function precisionName(precision: string): string {
  return PRECISION_NAMES[precision] ?? precision;
}

/** A plan's precision in few words: "language 4-bit, embedding 8-bit, vision f16"; "all parts" where they are alike. */
export function presetNote({ precision }: StoredPlan): string {
  const { language, embedding, vision, connector } = precision;
  if ([embedding, vision, connector].every((other) => other === language))
    return `all parts ${precisionName(language)}`;
  const note = `language ${precisionName(language)}, embedding ${precisionName(embedding)}, vision ${precisionName(vision)}`;
  return connector === vision ? note : `${note}, resampler ${precisionName(connector)}`;
}

/** `precisionLine` of a model that is loaded; empty where its precision is not known. */
export function partsLine(parts: readonly Pick<PartPrecision, 'part' | 'precision'>[]): string {
  return parts.map(({ part, precision }) => `${part} ${precision}`).join(', ');
}

/** The precision of a kept model in few words. */
export function keptPrecision({ precision }: Pick<KeptModel, 'precision'>): string {
  const kinds = precision.split(', ').map((part) => part.split(' ').at(-1)!);
  return kinds.every((kind) => kind === kinds[0])
    ? precisionName(kinds[0]!)
    : `language ${precisionName(kinds[0]!)}`;
}

/** A kept model that a plan would load from disk: of the same source, in that precision. */
export function keptOf(
  kept: readonly KeptModel[] | undefined,
  source: string | undefined,
  { precision }: StoredPlan,
): KeptModel | undefined {
  const line = precisionLine(precision);
  return kept?.find((model) => model.source === source && model.precision === line);
}

/** "7.3 GB" as its number and its unit. */
export function splitBytes(bytes: number): [string, string] {
  const [value = '', unit = ''] = formatBytes(bytes).split(' ');
  return [value, unit];
}

/** A phrase with a capital letter. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
