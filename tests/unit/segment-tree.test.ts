import { describe, expect, it } from 'vitest';
import { visibleRanges } from '../../src/attention/reference';
import { SegmentTree } from '../../src/attention/segment-tree';

describe('SegmentTree', () => {
  it('lays segments out one behind the other and counts positions along the branch', () => {
    const tree = new SegmentTree();
    const prefix = tree.add({ parent: -1, capacity: 10, causal: true });
    expect(tree.append(prefix, 7)).toEqual({ slot: 0, position: 0 });
    const a = tree.add({ parent: prefix, capacity: 5, causal: true });
    const b = tree.add({ parent: prefix, capacity: 5, causal: true });
    expect(tree.append(a, 2)).toEqual({ slot: 10, position: 7 });
    expect(tree.append(b, 1)).toEqual({ slot: 15, position: 7 });
    expect(tree.append(a, 1)).toEqual({ slot: 12, position: 9 });
    expect(tree.capacity).toBe(20);
    expect(visibleRanges(tree, a, 1)).toEqual([
      [0, 7],
      [10, 2],
    ]);
    expect(tree.visible(a, 1)).toBe(9);
  });

  it('lets every row of a full segment see all of it', () => {
    const tree = new SegmentTree();
    const frame = tree.add({ parent: -1, capacity: 4, causal: false });
    tree.append(frame, 4);
    expect(visibleRanges(tree, frame, 0)).toEqual([[0, 4]]);
  });

  it('refuses what would change what others have seen', () => {
    const tree = new SegmentTree();
    const prefix = tree.add({ parent: -1, capacity: 8, causal: true });
    tree.append(prefix, 4);
    const child = tree.add({ parent: prefix, capacity: 2, causal: true });
    expect(() => tree.append(prefix, 1)).toThrow(/has children/);
    expect(() => tree.append(child, 3)).toThrow(/do not fit/);
    expect(() => tree.add({ parent: 7, capacity: 1, causal: true })).toThrow(/no segment 7/);
    expect(() => tree.add({ parent: -1, capacity: 0, causal: true })).toThrow(/above 0/);
  });

  it('gives rows back: the last segment is removed, a leaf is cut', () => {
    const tree = new SegmentTree();
    const prefix = tree.add({ parent: -1, capacity: 8, causal: true });
    tree.append(prefix, 4);
    const child = tree.add({ parent: prefix, capacity: 2, causal: true });
    expect(() => tree.removeLast(prefix)).toThrow(/not the last/);
    tree.removeLast(child);
    tree.truncate(prefix, 3);
    expect(tree.append(prefix, 1)).toEqual({ slot: 3, position: 3 });
    expect(tree.capacity).toBe(8);
  });

  it('splits a segment without moving a row or changing what any row sees', () => {
    const tree = new SegmentTree();
    const prefix = tree.add({ parent: -1, capacity: 4, causal: true });
    tree.append(prefix, 4);
    const answer = tree.add({ parent: prefix, capacity: 8, causal: true });
    tree.append(answer, 6);
    const child = tree.add({ parent: answer, capacity: 2, causal: true });
    tree.append(child, 1);
    const rows = (segment: number, offset: number) =>
      visibleRanges(tree, segment, offset).flatMap(([start, n]) =>
        Array.from({ length: n }, (_, i) => start + i),
      );
    const before = [rows(answer, 1), rows(answer, 4), rows(child, 0)];

    const upper = tree.split(answer, 2);
    expect([rows(upper, 1), rows(answer, 2), rows(child, 0)]).toEqual(before);
    expect(tree.segments[upper]).toMatchObject({
      parent: prefix,
      start: 4,
      length: 2,
      capacity: 2,
      position: 4,
    });
    expect(tree.segments[answer]).toMatchObject({
      parent: upper,
      start: 6,
      length: 4,
      capacity: 6,
      position: 6,
    });

    const branch = tree.add({ parent: upper, capacity: 3, causal: true });
    expect(tree.append(branch, 1)).toEqual({ slot: 14, position: 6 });
    expect(rows(branch, 0)).toEqual([0, 1, 2, 3, 4, 5, 14]);
    expect(tree.capacity).toBe(17);
    expect(() => tree.append(upper, 1)).toThrow(/has children/);
  });

  it('splits what was split before, and gives back the rows behind', () => {
    const tree = new SegmentTree();
    const answer = tree.add({ parent: -1, capacity: 8, causal: true });
    tree.append(answer, 8);
    const upper = tree.split(answer, 5);
    const top = tree.split(upper, 2);
    expect(tree.segments.map(({ start, length }) => [start, length])).toEqual([
      [5, 3],
      [2, 3],
      [0, 2],
    ]);
    expect(tree.segments[upper]!.parent).toBe(top);
    expect(tree.visible(answer, 0)).toBe(6);
    expect(() => tree.removeLast(top)).toThrow(/has children/);
    const branch = tree.add({ parent: top, capacity: 4, causal: true });
    tree.removeLast(branch);
    expect(tree.capacity).toBe(8);
  });

  it('refuses splits that leave a part empty or change what rows see', () => {
    const tree = new SegmentTree();
    const answer = tree.add({ parent: -1, capacity: 8, causal: true });
    tree.append(answer, 4);
    for (const at of [0, 4, 1.5]) expect(() => tree.split(answer, at)).toThrow(/cannot be cut/);
    const frame = tree.add({ parent: -1, capacity: 4, causal: false });
    tree.append(frame, 4);
    expect(() => tree.split(frame, 2)).toThrow(/not causal/);
  });
});
