import type { GpuTensor } from '../gpu/tensor';
import type { LanguageModel } from '../model/language-model';
import type { LanguagePrompt } from '../model/language-model-inputs';
import { type PolicyBatch, policyForest } from './policy-batch';
import type { PolicyGradient } from './policy-gradient';

/** A question and its answers, to go through the policy. */
export interface PassGroup {
  prompt: LanguagePrompt;
  /** Rows of the prompt, visual tokens included. */
  prompt_rows: number;
  completions: readonly { tokens: readonly number[] }[];
}

/** Questions that go through the policy together. */
export interface PolicyPassInput<Group> {
  groups: readonly Group[];
  batch: PolicyBatch;
  /** Embeddings of their prompts, `[prompt_rows, H]`. Their owner destroys the buffer. */
  prompt: GpuTensor;
}

/** Shares questions out among as few passes as memory allows, in their order. */
export function preparePasses<Group extends PassGroup>(
  language: LanguageModel,
  policy: PolicyGradient,
  groups: readonly Group[],
): PolicyPassInput<Group>[] {
  return splitGroups(policy, groups).map((part) => ({
    groups: part,
    batch: policyForest(
      part.map(({ prompt_rows, completions }) => ({
        prompt_rows,
        completions: completions.map(({ tokens }) => tokens),
      })),
    ),
    prompt: language.embedPrompts(part.map(({ prompt }) => prompt)).embeds,
  }));
}

/** Groups are put together up to what a pass may hold; if it can, it keeps what its way back needs. */
export function splitGroups<Group extends PassGroup>(
  policy: Pick<PolicyGradient, 'holds'>,
  groups: readonly Group[],
): Group[][] {
  const rowsOf = ({ prompt_rows, completions }: Group) =>
    completions.reduce((sum, { tokens }) => sum + tokens.length - 1, prompt_rows);
  const keep = groups.every((group) => policy.holds(rowsOf(group), true));
  const parts: Group[][] = [];
  let rows = 0;
  for (const group of groups) {
    const more = rowsOf(group);
    if (parts.length === 0 || !policy.holds(rows + more, keep)) {
      parts.push([]);
      rows = 0;
    }
    parts.at(-1)!.push(group);
    rows += more;
  }
  return parts;
}

/** Token range of a pass's group: `[from, to)` of its tokens, and where each of its answers begins in that range. */
export function groupRange(
  { offsets, groups }: PolicyBatch,
  place: number,
): { from: number; to: number; offsets: number[] } {
  const own = offsets.slice(groups[place]!, groups[place + 1]! + 1);
  return { from: own[0]!, to: own.at(-1)!, offsets: own.map((offset) => offset - own[0]!) };
}
