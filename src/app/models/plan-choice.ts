import {
  type KeptModel,
  largestTensor,
  type ModelPart,
  type ModelPlan,
  type PlanPieces,
  type PrecisionPreset,
  precisionLine,
  type StoredPlan,
  storedPlan,
} from '../../worker/model-protocol';
import type { AdapterSummary, ModelPrecision } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import type { PlannedModel } from '../store/desk-state';
import { fitOf, PART_NAMES, precisionName, presetNote, type Room, sentence } from './plan-facts';

/** A way to store a model: one with a name, or a choice of one's own. */
export type ChosenPlan = StoredPlan & { preset?: PrecisionPreset };

/** The parts that have a precision of their own, in the order in which they are shown. */
export function partsOf({ stored }: PlanPieces): ModelPart[] {
  return Object.keys(stored) as ModelPart[];
}

/** What a model takes with a precision chosen for each part. */
export function chosenPlan({ plans, pieces }: ModelPlan, precision: ModelPrecision): ChosenPlan {
  const line = precisionLine(precision);
  const named = plans.find((one) => precisionLine(one.precision) === line);
  if (named) return named;
  const own = storedPlan(pieces, precision);
  const like = plans[0];
  if (!like?.training) return own;
  // But for the weights, all of a run is the same.
  return { ...own, training: { ...like.training, bytes: like.training.bytes + own.disk - like.disk } };
}

/** The precision that a line of text names, as kept models do; undefined where it is none that can be chosen. */
export function readPrecision(line: string, pieces: PlanPieces): ModelPrecision | undefined {
  const words = line.split(', ');
  const found = partsOf(pieces).flatMap((part) =>
    pieces.stored[part]
      .filter(({ precision }) => words.includes(`${part} ${precision}`))
      .map(({ precision }) => [part, precision] as const),
  );
  return found.length === words.length && found.length === partsOf(pieces).length
    ? (Object.fromEntries(found) as ModelPrecision)
    : undefined;
}

/**
 * The precision that a plan begins with, beside what is offered: the one that was asked for, or that of what is kept of
 * the model, the last used first, so that loading it goes on from there.
 */
export function knownPrecision(
  { precision, source }: PlannedModel,
  { pieces }: ModelPlan,
  kept: readonly KeptModel[] | undefined,
): ModelPrecision | undefined {
  const url = source.kind === 'url' ? source.url : undefined;
  const line = precision ?? kept?.find((model) => model.source === url)?.precision;
  return line === undefined ? undefined : readPrecision(line, pieces);
}

/** The fewest bits that there are. */
const LEAST: ModelPrecision = { language: 'q4', embedding: 'q4', vision: 'q4', connector: 'q4' };

/** Which of a model's precisions fit, as a sentence, where the chosen one does not. */
export function whatFits(plan: ModelPlan, adapter: AdapterSummary | undefined, room: Room): string {
  const fitting = plan.plans.filter((one) => fitOf(one, adapter, room).fits).map(({ preset }) => preset);
  if (fitting.length === 0) {
    const offered = chosenPlan(plan, plan.offered);
    if (fitOf(offered, adapter, room).fits) return `Chosen for each part, ${presetNote(offered)} fits.`;
    const { largest } = storedPlan(plan.pieces, LEAST);
    return `It fits in no precision: in 4-bit, ${largest.name} takes ${formatBytes(largest.bytes)}. Choose a smaller model.`;
  }
  const last = fitting.at(-1)!;
  return fitting.length === 1 ? `${last} fits.` : `${fitting.slice(0, -1).join(', ')} and ${last} fit.`;
}

/** Why parts are offered in fewer bits than usual on an adapter; empty where they are not. */
export function offeredNote(
  { offered, usual, pieces }: ModelPlan,
  adapter: AdapterSummary | undefined,
): string {
  return partsOf(pieces)
    .filter((part) => offered[part] !== usual[part])
    .map((part) => {
      const { largest } = pieces.stored[part].find(({ precision }) => precision === usual[part])!;
      const limit = adapter
        ? `, and one buffer of this adapter ${formatBytes(largestTensor(adapter.limits))}`
        : '';
      return `${sentence(PART_NAMES[part])} in ${precisionName(offered[part])} here: in ${precisionName(usual[part])} its largest tensor takes ${formatBytes(largest.bytes)}${limit}.`;
    })
    .join(' ');
}
