/** One node of the tree: rows `start..start+length-1` of one KV storage. */
export interface Segment {
  /** Index of the parent segment, or -1. */
  readonly parent: number;
  /** First row in the KV storage. */
  readonly start: number;
  /** Rows in use. */
  readonly length: number;
  /** Rows reserved. */
  readonly capacity: number;
  /** True: a row sees its own segment up to itself. False: all of it. */
  readonly causal: boolean;
  /** Rotary position of the first row: the number of rows that all ancestors had when the segment was added. */
  readonly position: number;
}

/**
 * Query rows `row..row+count-1` (of q and o) that stand for rows `offset..offset+count-1` of a segment.
 * Where the segment is full, `offset` decides only positions and cache slots, so queries that are no rows of the
 * segment (cross attention) give 0.
 */
export interface QueryRun {
  readonly row: number;
  readonly count: number;
  readonly segment: number;
  readonly offset: number;
}

interface MutableSegment {
  parent: number;
  start: number;
  length: number;
  capacity: number;
  causal: boolean;
  position: number;
  children: number;
}

/**
 * Which rows of a KV storage `[T, Hkv, D]` see each other. Segments lie one behind the other in the order in which
 * they were added; a segment may be cut in two later (`split`). A row sees all rows of its ancestors, and of its own
 * segment the rows up to itself (causal) or all (full). A chat is a chain, a group of sampled answers is one prefix
 * with G children, a batch of images is a row of full segments.
 */
export class SegmentTree {
  private readonly nodes: MutableSegment[] = [];
  private end = 0;

  /** All segments, by id. */
  get segments(): readonly Segment[] {
    return this.nodes;
  }

  /** Rows reserved by all segments: the T that the KV storage needs. */
  get capacity(): number {
    return this.end;
  }

  /**
   * Adds an empty segment behind the others and returns its id. Its rotary positions follow its parent's rows.
   * @throws Error when the parent does not exist or the capacity is not a whole number above 0.
   */
  add(options: { parent: number; capacity: number; causal: boolean }): number {
    const { parent, capacity, causal } = options;
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new Error(`A segment's capacity must be a whole number of rows above 0, not ${capacity}.`);
    let position = 0;
    if (parent !== -1) {
      const node = this.node(parent);
      node.children += 1;
      position = node.position + node.length;
    }
    this.nodes.push({ parent, start: this.end, length: 0, capacity, causal, position, children: 0 });
    this.end += capacity;
    return this.nodes.length - 1;
  }

  /**
   * Takes the next `n` rows of a segment; returns the KV row (`slot`) and the rotary position of the first of them.
   * @throws Error when the segment is full, or has children: they would see rows that they were not computed with.
   */
  append(segment: number, n: number): { slot: number; position: number } {
    const node = this.node(segment);
    if (!Number.isInteger(n) || n < 0) throw new Error(`Cannot append ${n} rows to a segment.`);
    if (node.children > 0)
      throw new Error(`Segment ${segment} has children, so its rows are settled: add a child instead.`);
    if (node.length + n > node.capacity) {
      throw new Error(
        `Segment ${segment} holds ${node.length} of ${node.capacity} rows; ${n} more do not fit. ` +
          'Reserve a larger capacity.',
      );
    }
    const at = node.length;
    node.length += n;
    return { slot: node.start + at, position: node.position + at };
  }

  /** Takes back the last rows of a segment, leaving `length`. The KV storage is not touched. */
  truncate(segment: number, length: number): void {
    const node = this.node(segment);
    if (node.children > 0) throw new Error(`Segment ${segment} has children, so its rows are settled.`);
    if (!Number.isInteger(length) || length < 0 || length > node.length)
      throw new Error(`Segment ${segment} has ${node.length} rows and cannot be cut to ${length}.`);
    node.length = length;
  }

  /**
   * Cuts a causal segment in two in front of its row `at`, so that other children than the rest of it can follow.
   * Rows stay where they are in the KV storage. The rest keeps the id, the room and the children; the part above,
   * its new parent, has no room left. What any row sees stays the same.
   * @returns the id of the part above.
   * @throws Error when one of the parts would be empty, or the segment is full attention.
   */
  split(segment: number, at: number): number {
    const node = this.node(segment);
    if (!node.causal) throw new Error(`Segment ${segment} is not causal: its rows see all of it.`);
    if (!Number.isInteger(at) || at < 1 || at >= node.length)
      throw new Error(`Segment ${segment} has ${node.length} rows and cannot be cut in front of row ${at}.`);
    const { parent, start, causal, position } = node;
    this.nodes.push({ parent, start, length: at, capacity: at, causal, position, children: 1 });
    node.parent = this.nodes.length - 1;
    node.start += at;
    node.length -= at;
    node.capacity -= at;
    node.position += at;
    return node.parent;
  }

  /**
   * Removes the last segment, so that its rows can be reserved again.
   * @throws Error when it is not the last one, or was cut off by `split` (its rows are not the storage's last).
   */
  removeLast(segment: number): void {
    const node = this.node(segment);
    if (segment !== this.nodes.length - 1)
      throw new Error(`Segment ${segment} is not the last one: remove those behind it first.`);
    if (node.children > 0) throw new Error(`Segment ${segment} has children: they see its rows.`);
    if (node.parent !== -1) this.node(node.parent).children -= 1;
    this.end = node.start;
    this.nodes.pop();
  }

  /** Number of keys that row `offset` of a segment sees. */
  visible(segment: number, offset: number): number {
    const node = this.node(segment);
    let count = node.causal ? Math.min(offset + 1, node.length) : node.length;
    for (let up = node.parent; up !== -1; up = this.node(up).parent) count += this.node(up).length;
    return count;
  }

  private node(segment: number): MutableSegment {
    const node = this.nodes[segment];
    if (!node) throw new Error(`There is no segment ${segment}: the tree has ${this.nodes.length}.`);
    return node;
  }
}
