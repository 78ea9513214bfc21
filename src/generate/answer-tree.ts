import type { DecoderSteps } from '../model/decoder-steps';
import type { KvCache } from '../model/kv-cache';
import type { LanguageModel } from '../model/language-model';
import type { LanguagePrompt } from '../model/language-model-inputs';

/** Rows that an answer reserves at a time: memory grows with what is written, not with what might be. */
const BLOCK_ROWS = 128;

/** One answer in the tree: a chain of segments below its prompt's. */
export interface Branch {
  /** Which answer of its group. */
  readonly sample: number;
  /** The answer's tokens as far as they are known, from its first. */
  readonly tokens: number[];
  /** The last segment of the chain. */
  leaf: number;
  /** Whether `leaf` is this answer's alone, so that rows can be added to it. */
  own: boolean;
}

/** A prompt of a tree. */
export interface TreePrompt extends LanguagePrompt {
  /** Rows that it takes. */
  rows: number;
}

/**
 * Keys and values of prompts and of all answers to them: a prompt is stored once and read by its answers. An answer to
 * the first prompt can leave another one at any token: the segment it leaves is split there, and what both share is not
 * computed again.
 */
export class AnswerTree {
  readonly cache: KvCache;
  /** The prompts' segments. */
  readonly roots: readonly number[];
  private readonly branches: Branch[] = [];
  private fitted = 0;

  /** Reserves the rows of the prompts; the caller computes them. */
  constructor(
    language: Pick<LanguageModel, 'createCache'>,
    private readonly prompts: readonly TreePrompt[],
    private readonly steps: DecoderSteps | undefined,
  ) {
    this.cache = language.createCache(this.promptRows);
    this.roots = prompts.map(({ rows }) => this.cache.addSegment(rows));
  }

  /** Rows of all prompts. */
  get promptRows(): number {
    return this.prompts.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** Whether the tree's one prompt is this one, computed by this decoder. */
  isFor({ prompt_ids, visual }: LanguagePrompt, steps?: DecoderSteps): boolean {
    const own = this.prompts[0]!.prompt_ids;
    return (
      this.prompts.length === 1 &&
      this.prompts[0]!.visual?.buffer === visual?.buffer &&
      this.steps === steps &&
      own.length === prompt_ids.length &&
      own.every((id, i) => id === prompt_ids[i])
    );
  }

  /**
   * The segment behind which an answer to the first prompt that begins with `tokens` goes on, and how many of them are computed: as many
   * as any answer in the tree shares, but not the last, whose output is wanted. Splits a segment where one is left in
   * its middle. Only for answers that have ended: a segment with children does not grow.
   */
  shared(tokens: readonly number[]): { segment: number; rows: number } {
    let best: Branch | undefined;
    let rows = 0;
    for (const branch of this.branches) {
      const most = Math.min(this.rowsOf(branch), tokens.length - 1);
      let same = 0;
      while (same < most && branch.tokens[same] === tokens[same]) same += 1;
      if (same > rows) {
        best = branch;
        rows = same;
      }
    }
    if (!best) return { segment: this.roots[0]!, rows: 0 };
    const { tree } = this.cache;
    const end = this.promptRows + rows;
    let segment = best.leaf;
    while (tree.segments[segment]!.position >= end) segment = tree.segments[segment]!.parent;
    const { position, length } = tree.segments[segment]!;
    return { segment: end < position + length ? tree.split(segment, end - position) : segment, rows };
  }

  /** Reserves a segment of `rows` rows below another. */
  extend(parent: number, rows: number): number {
    this.grow(rows);
    return this.cache.addSegment(rows, parent);
  }

  /** Begins an answer behind a segment whose last row has the answer's last token so far. */
  branch(sample: number, tokens: readonly number[], parent: number): Branch {
    const branch: Branch = { sample, tokens: [...tokens], leaf: parent, own: false };
    this.branches.push(branch);
    return branch;
  }

  /** Makes room for one more row of each of these answers, `left` more being the most that any will get. */
  makeRoom(branches: readonly Branch[], left: number): void {
    const { segments } = this.cache.tree;
    const full = branches.filter(({ leaf, own }) => {
      const { length, capacity } = segments[leaf]!;
      return !own || length === capacity;
    });
    if (full.length === 0) return;
    const rows = Math.min(BLOCK_ROWS, left);
    this.grow(rows * full.length);
    for (const branch of full) {
      branch.leaf = this.cache.addSegment(rows, branch.leaf);
      branch.own = true;
    }
  }

  /** Bytes of the rows of the prompts and of these answers, each shared row once. */
  bytesInUse(branches: readonly Branch[]): number {
    const { segments } = this.cache.tree;
    const path = new Set<number>(this.roots);
    for (const { leaf } of branches) {
      for (let up = leaf; up !== -1; up = segments[up]!.parent) path.add(up);
    }
    const rows = [...path].reduce((sum, segment) => sum + segments[segment]!.length, 0);
    return rows * this.cache.rowBytes;
  }

  /** Rows that all segments reserve. */
  get rows(): number {
    return this.cache.tree.capacity;
  }

  /** Rows that the cache had before it grew last: so many there was room for. */
  get fittedRows(): number {
    return this.fitted;
  }

  /** Bytes of the whole cache, reserved rows included. */
  get bytes(): number {
    return this.cache.capacity * this.cache.rowBytes;
  }

  /** Frees the cache. */
  destroy(): void {
    this.cache.destroy();
  }

  private grow(rows: number): void {
    this.fitted = this.cache.capacity;
    this.cache.grow(rows);
  }

  /** Rows of an answer that are computed: its tokens, or all but the last. */
  private rowsOf({ leaf }: Branch): number {
    const { position, length } = this.cache.tree.segments[leaf]!;
    return position + length - this.promptRows;
  }
}
