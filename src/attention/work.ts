import type { QueryRun, SegmentTree } from './segment-tree';

/** How the work of an attention is cut into units: from the table of variants. */
export interface WorkLayout {
  /** Query rows of a unit at most, */
  readonly rows: number;
  /** and where rows are brought together by what they see. */
  readonly shared_rows: number;
  /** Keys of long units are cut until there are about so many units. */
  readonly units: number;
  /** No unit is cut into parts of fewer keys; a multiple of the keys that a kernel takes at a time. */
  readonly min_keys: number;
  /** Units of up to so many rows are in batches of their own, for a kernel with smaller tiles. 0: none. */
  readonly few_rows: number;
  /**
   * Where a unit has a thread for so many rows each: units of more rows count as several, and each batch gets enough of
   * them. Without it a unit is one workgroup's.
   */
  readonly side_by_side?: number;
  /** Every row in one unit of each window, so that nothing needs joining: what the backward pass needs. */
  readonly whole_rows?: boolean;
  /** Rows of a window of the KV storage, where one binding cannot take it all. Default: all of it. */
  readonly window_rows?: number;
}

/** Units of one dispatch: they read one window of the KV storage. */
export interface WorkBatch {
  first_unit: number;
  unit_count: number;
  /** Rows of its units at most. */
  rows: number;
  /** First row of the window; rows in `ranges` count from it. */
  kv_start: number;
  few: boolean;
}

/** The work list of an attention: units of rows and the keys that they see, and which parts belong together. */
export interface Work {
  /** vec4<u32>s: units, then members, then ranges, then joins (shaders/attention/units.wgsl). */
  words: Uint32Array<ArrayBuffer>;
  batches: WorkBatch[];
  members_at: number;
  ranges_at: number;
  joins_at: number;
  join_count: number;
  /** Results of parts that wait for joining. */
  partial_count: number;
  /** KV rows that all units together read. */
  kv_rows_read: number;
}

/** Member of a unit whose result needs no joining. */
const NONE = 0xffffffff;

interface Member {
  row: number;
  /** Rows of its own causal segment that it sees. */
  limit: number;
}

interface KeyRange {
  start: number;
  count: number;
  /** Place of the first key in its segment. */
  base: number;
  causal: boolean;
}

/** Rows that see the same segments, and those. */
interface Group {
  members: Member[];
  ranges: KeyRange[];
}

interface Unit {
  members: Member[];
  ranges: KeyRange[];
  window: number;
  keys: number;
}

/**
 * Cuts an attention into units.
 * - Where runs have many rows, a unit is some rows of one run with all keys that they see.
 * - Where they have few (a decode step has one), rows are brought together by what they see: the keys of a shared segment
 *   are read for all of them at once, those of each own segment beside it, and the parts are joined by log-sum-exp.
 *   A sequence that is in no run appears nowhere.
 * The same tree, runs and layout give the same list, and so the same bits.
 */
export function attentionWork(tree: SegmentTree, runs: readonly QueryRun[], layout: WorkLayout): Work {
  const longest = runs.reduce((most, run) => Math.max(most, run.count), 0);
  const whole = layout.whole_rows || longest >= Math.max(2, layout.rows);
  const groups = whole ? groupsByRun(tree, runs) : groupsBySegment(tree, runs);
  return pack(cut(groups, whole ? layout.rows : layout.shared_rows, layout), layout);
}

/** KV rows that a step has to read at least: each segment once, however many rows see it. */
export function idealKvRows(tree: SegmentTree, runs: readonly QueryRun[]): number {
  const seen = new Map<number, number>();
  for (const { segment, offset, count } of runs) {
    const own = tree.segments[segment]!;
    const rows = own.causal ? Math.min(own.length, offset + count) : own.length;
    seen.set(segment, Math.max(seen.get(segment) ?? 0, rows));
    for (let up = own.parent; up !== -1; up = tree.segments[up]!.parent)
      seen.set(up, tree.segments[up]!.length);
  }
  return [...seen.values()].reduce((sum, rows) => sum + rows, 0);
}

function groupsByRun(tree: SegmentTree, runs: readonly QueryRun[]): Group[] {
  return runs.map((run) => ({ members: membersOf(tree, run), ranges: rangesOf(tree, run) }));
}

function groupsBySegment(tree: SegmentTree, runs: readonly QueryRun[]): Group[] {
  // A segment may be some rows' own and others' ancestor: these are two views of it.
  const views = new Map<string, Group>();
  for (const run of runs) {
    const members = membersOf(tree, run);
    for (const range of rangesOf(tree, run)) {
      const key = `${range.start} ${range.causal}`;
      const view = views.get(key);
      if (view) {
        view.members.push(...members);
        view.ranges[0]!.count = Math.max(view.ranges[0]!.count, range.count);
      } else views.set(key, { members: [...members], ranges: [range] });
    }
  }
  // Segments with the same rows make one group.
  const groups = new Map<string, Group>();
  for (const { members, ranges } of views.values()) {
    const key = members.map(({ row }) => row).join();
    const group = groups.get(key);
    if (group) group.ranges.push(...ranges);
    else groups.set(key, { members, ranges });
  }
  return [...groups.values()];
}

function membersOf(tree: SegmentTree, { row, count, segment, offset }: QueryRun): Member[] {
  const { causal, length } = tree.segments[segment]!;
  return Array.from({ length: count }, (_, i) => ({
    row: row + i,
    limit: causal ? Math.min(offset + i + 1, length) : length,
  }));
}

/** What a run's rows see: ancestors, nearest first, then their own segment. */
function rangesOf(tree: SegmentTree, { segment, offset, count }: QueryRun): KeyRange[] {
  const own = tree.segments[segment]!;
  const ranges: KeyRange[] = [];
  for (let up = own.parent; up !== -1; up = tree.segments[up]!.parent) {
    const { start, length } = tree.segments[up]!;
    if (length > 0) ranges.push({ start, count: length, base: 0, causal: false });
  }
  const rows = own.causal ? Math.min(own.length, offset + count) : own.length;
  ranges.push({ start: own.start, count: rows, base: 0, causal: own.causal });
  return ranges;
}

/** Cuts groups into units: by rows, by windows of the storage, and long ones by keys. */
function cut(groups: readonly Group[], rows: number, layout: WorkLayout): Unit[] {
  const { window_rows = Number.POSITIVE_INFINITY } = layout;
  const whole: Unit[] = [];
  for (const { members, ranges } of groups) {
    for (let at = 0; at < members.length; at += rows) {
      const some = members.slice(at, at + rows);
      const most = some.reduce((limit, member) => Math.max(limit, member.limit), 0);
      const least = some.reduce((limit, member) => Math.min(limit, member.limit), most);
      const seen = ranges.map((range) => {
        if (!range.causal) return range;
        const count = Math.min(range.count, most);
        return { ...range, count, causal: least < count };
      });
      whole.push(...byWindow(some, connected(seen), window_rows));
    }
  }
  // What may not be joined stays whole.
  if (layout.whole_rows) return whole;
  if (layout.side_by_side === undefined) return cutKeys(whole, layout);
  const isFew = ({ members }: Unit) => members.length <= layout.few_rows;
  return [whole.filter((unit) => !isFew(unit)), whole.filter(isFew)].flatMap((units) =>
    cutKeys(units, layout),
  );
}

/** Ranges that are seen whole and follow each other in the storage, as one: an only child's prefix and own keys. */
function connected(ranges: readonly KeyRange[]): KeyRange[] {
  const whole = ranges.filter(({ causal }) => !causal).sort((a, b) => a.start - b.start);
  const out: KeyRange[] = [];
  for (const range of whole) {
    const last = out.at(-1);
    if (last && last.start + last.count === range.start) last.count += range.count;
    else out.push({ ...range });
  }
  return [...out, ...ranges.filter(({ causal }) => causal)];
}

/** Cuts units by keys until there are enough of them. */
function cutKeys(units: Unit[], { units: enough, min_keys, side_by_side }: WorkLayout): Unit[] {
  const weigh = ({ members }: Unit) => (side_by_side ? Math.ceil(members.length / side_by_side) : 1);
  if (units.reduce((sum, unit) => sum + weigh(unit), 0) >= enough) return units;
  const total = units.reduce((sum, unit) => sum + unit.keys * weigh(unit), 0);
  const chunk = Math.max(min_keys, Math.ceil(total / enough / min_keys) * min_keys);
  return units.flatMap((unit) => byKeys(unit, chunk));
}

function slice(range: KeyRange, from: number, count: number): KeyRange {
  return { ...range, start: range.start + from, base: range.base + from, count };
}

function byWindow(members: Member[], ranges: readonly KeyRange[], window_rows: number): Unit[] {
  const windows = new Map<number, KeyRange[]>();
  for (const range of ranges) {
    for (let from = 0; from < range.count; ) {
      const window = Math.floor((range.start + from) / window_rows);
      const end = Math.min(range.count, (window + 1) * window_rows - range.start);
      if (!windows.has(window)) windows.set(window, []);
      windows.get(window)!.push(slice(range, from, end - from));
      from = end;
    }
  }
  return [...windows].map(([window, parts]) => ({ members, ranges: parts, window, keys: keysOf(parts) }));
}

/** Cuts a unit into parts of about `chunk` keys, all of nearly the same size. */
function byKeys(unit: Unit, chunk: number): Unit[] {
  const parts = Math.max(1, Math.round(unit.keys / chunk));
  if (parts === 1) return [unit];
  const size = Math.ceil(unit.keys / parts);
  const units: Unit[] = [];
  let ranges: KeyRange[] = [];
  let room = size;
  const end = () => {
    if (ranges.length > 0) units.push({ ...unit, ranges, keys: keysOf(ranges) });
    ranges = [];
    room = size;
  };
  for (const range of unit.ranges) {
    for (let from = 0; from < range.count; ) {
      const count = Math.min(room, range.count - from);
      ranges.push(slice(range, from, count));
      from += count;
      room -= count;
      if (room === 0) end();
    }
  }
  end();
  return units;
}

function keysOf(ranges: readonly KeyRange[]): number {
  return ranges.reduce((sum, range) => sum + range.count, 0);
}

function pack(units: Unit[], layout: WorkLayout): Work {
  const { few_rows, window_rows = 0 } = layout;
  const parts = new Map<number, number>();
  for (const { members } of units) for (const { row } of members) parts.set(row, (parts.get(row) ?? 0) + 1);
  const joins: number[] = [];
  const written = new Set<number>();
  const next = new Map<number, number>();
  let partial_count = 0;
  for (const [row, count] of parts) {
    if (count === 1 || layout.whole_rows) continue;
    joins.push(row, partial_count, count, 0);
    next.set(row, partial_count);
    partial_count += count;
  }
  const partials = units.map(({ members }) =>
    members.map(({ row }) => {
      const partial = next.get(row);
      if (partial === undefined) return NONE;
      next.set(row, partial + 1);
      return partial;
    }),
  );
  // Batches by window and size; within one the longest first, so that neighbours take about equally long.
  const isFew = (unit: Unit) => unit.members.length <= few_rows;
  const order = units
    .map((unit, i) => ({ unit, partials: partials[i]! }))
    .sort(
      (a, b) =>
        a.unit.window - b.unit.window ||
        Number(isFew(a.unit)) - Number(isFew(b.unit)) ||
        b.unit.keys - a.unit.keys,
    );
  const unitWords: number[] = [];
  const memberWords: number[] = [];
  const rangeWords: number[] = [];
  const batches: WorkBatch[] = [];
  for (const [i, { unit, partials }] of order.entries()) {
    const kv_start = unit.window * window_rows;
    const few = isFew(unit);
    const batch = batches.at(-1);
    const rows = unit.members.length;
    if (batch?.kv_start === kv_start && batch.few === few) {
      batch.unit_count += 1;
      batch.rows = Math.max(batch.rows, rows);
    } else batches.push({ first_unit: i, unit_count: 1, rows, kv_start, few });
    unitWords.push(memberWords.length / 4, unit.members.length, rangeWords.length / 4, unit.ranges.length);
    for (const [j, { row, limit }] of unit.members.entries()) {
      memberWords.push(row, limit, partials[j]!, Number(written.has(row)));
      written.add(row);
    }
    for (const { start, count, base, causal } of unit.ranges)
      rangeWords.push(start - kv_start, count, base, causal ? 1 : 0);
  }
  const members_at = unitWords.length / 4;
  const ranges_at = members_at + memberWords.length / 4;
  const joins_at = ranges_at + rangeWords.length / 4;
  return {
    words: Uint32Array.from([...unitWords, ...memberWords, ...rangeWords, ...joins]),
    batches,
    members_at,
    ranges_at,
    joins_at,
    join_count: joins.length / 4,
    partial_count,
    kv_rows_read: units.reduce((sum, unit) => sum + unit.keys, 0),
  };
}
