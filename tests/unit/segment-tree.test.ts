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
});
