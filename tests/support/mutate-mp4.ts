import { allBoxes, type BoxNode, findBox, parseBoxes, sizeOf, writeBoxes } from './mp4-tree';
import { BYTE_MUTATIONS, type Damaged, damageBytes, type Random, type Tools, tools } from './mutate-bytes';

/** Where the number of entries stands after a table's header, and where the entries begin. */
const TABLES: Record<string, { count: number; entries: number }> = {
  stts: { count: 4, entries: 8 },
  ctts: { count: 4, entries: 8 },
  stss: { count: 4, entries: 8 },
  stsc: { count: 4, entries: 8 },
  stco: { count: 4, entries: 8 },
  co64: { count: 4, entries: 8 },
  stsz: { count: 8, entries: 12 },
  elst: { count: 4, entries: 8 },
  stsd: { count: 4, entries: 8 },
  dref: { count: 4, entries: 8 },
  sbgp: { count: 8, entries: 12 },
  trun: { count: 4, entries: 8 },
};

/** Fields worth breaking: byte offsets after a box's header, of 32-bit numbers. */
const FIELDS: Record<string, number[]> = {
  mvhd: [12, 16, 96],
  mdhd: [12, 16],
  tkhd: [12, 20, 40, 44, 56, 76, 80],
  mehd: [4],
  trex: [4, 8, 12, 16, 20],
  tfhd: [0, 4, 8, 12, 16],
  tfdt: [4, 8],
  trun: [0, 8, 12, 16],
  stsz: [4],
  avc1: [24, 28, 32],
  vp09: [24, 28, 32],
  av01: [24, 28, 32],
  hdlr: [8],
};

function set32({ payload }: BoxNode, at: number, value: number): void {
  if (at + 4 > payload.length) return;
  new DataView(payload.buffer, payload.byteOffset, payload.byteLength).setUint32(at, value);
}

function siblings(nodes: BoxNode[], rnd: Tools): BoxNode[] {
  const lists = [nodes, ...allBoxes(nodes).flatMap((node) => (node.children?.length ? [node.children] : []))];
  return rnd.pick(lists);
}

function ofType(nodes: BoxNode[], types: Record<string, unknown>, rnd: Tools): BoxNode {
  return rnd.pick(allBoxes(nodes).filter(({ type }) => type in types));
}

/** Damage to the boxes and what is in them. */
const BOX_MUTATIONS: Record<string, (nodes: BoxNode[], rnd: Tools) => void> = {
  remove(nodes, rnd) {
    const list = siblings(nodes, rnd);
    list.splice(rnd.below(list.length), 1);
  },
  duplicate(nodes, rnd) {
    const list = siblings(nodes, rnd);
    const copy = structuredClone(rnd.pick(list));
    list.splice(rnd.below(list.length + 1), 0, copy);
  },
  swap(nodes, rnd) {
    const list = siblings(nodes, rnd);
    const [a, b] = [rnd.below(list.length), rnd.below(list.length)];
    [list[a], list[b]] = [list[b]!, list[a]!];
  },
  graft(nodes, rnd) {
    // A box where it does not belong, itself inside itself included.
    const copy = structuredClone(rnd.pick(allBoxes(nodes)));
    siblings(nodes, rnd).push(copy);
  },
  claim(nodes, rnd) {
    const node = rnd.pick(allBoxes(nodes));
    node.claimed = rnd.random() < 0.3 ? Math.max(0, sizeOf(node) + rnd.below(33) - 16) : rnd.extreme();
  },
  'claim-64': (nodes, rnd) => {
    const node = rnd.pick(allBoxes(nodes));
    node.large = true;
    if (rnd.random() < 0.8) node.claimed = rnd.pick([0, 1, 15, 16, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 63]);
  },
  resize(nodes, rnd) {
    const node = rnd.pick(allBoxes(nodes));
    const { payload } = node;
    node.payload = new Uint8Array(
      rnd.random() < 0.6 ? rnd.below(payload.length + 1) : payload.length + rnd.below(64),
    );
    node.payload.set(payload.subarray(0, node.payload.length));
  },
  rename(nodes, rnd) {
    const all = allBoxes(nodes);
    const node = rnd.pick(all);
    node.type =
      rnd.random() < 0.7
        ? rnd.pick(all).type
        : String.fromCharCode(...[0, 0, 0, 0].map(() => rnd.below(256)));
  },
  count(nodes, rnd) {
    const node = ofType(nodes, TABLES, rnd);
    set32(node, TABLES[node.type]!.count, rnd.extreme());
  },
  entry(nodes, rnd) {
    const node = ofType(nodes, TABLES, rnd);
    const { entries } = TABLES[node.type]!;
    for (let n = 1 + rnd.below(3); n > 0; n--) {
      const words = Math.max(1, (node.payload.length - entries) >> 2);
      set32(node, entries + 4 * rnd.below(words), rnd.extreme());
    }
  },
  entries(nodes, rnd) {
    const node = ofType(nodes, TABLES, rnd);
    const { entries } = TABLES[node.type]!;
    const value = rnd.extreme();
    const same = rnd.random() < 0.5;
    for (let at = entries; at + 4 <= node.payload.length; at += 4)
      set32(node, at, same ? value : rnd.below(rnd.pick([256, 65536, 2 ** 32])));
  },
  field(nodes, rnd) {
    const node = ofType(nodes, FIELDS, rnd);
    set32(node, rnd.pick(FIELDS[node.type]!), rnd.extreme());
  },
  timescale(nodes, rnd) {
    const node = ofType(nodes, { mvhd: 1, mdhd: 1 }, rnd);
    set32(node, 12, rnd.pick([0, 1, 2 ** 32 - 1, rnd.below(2 ** 32)]));
  },
  version(nodes, rnd) {
    // Versions and flags decide how the rest is read.
    const node = rnd.pick(allBoxes(nodes));
    if (node.payload.length >= 4) node.payload[rnd.below(4)] = rnd.below(256);
  },
  flip(nodes, rnd) {
    const node = rnd.pick(allBoxes(nodes).filter(({ payload }) => payload.length));
    for (let n = 1 + rnd.below(8); n > 0; n--)
      node.payload[rnd.below(node.payload.length)]! ^= 1 << rnd.below(8);
  },
  config(nodes, rnd) {
    const node = ofType(
      nodes,
      { avcC: 1, vpcC: 1, av1C: 1, hvcC: 1, colr: 1, pasp: 1, esds: 1, stsd: 1 },
      rnd,
    );
    for (let n = 1 + rnd.below(4); n > 0; n--) node.payload[rnd.below(node.payload.length)] = rnd.below(256);
  },
  'nal-length': (nodes, rnd) => {
    // Most words that begin with two zero bytes are lengths of NAL units; offsets into other codecs' data do no harm.
    const { payload } = findBox(nodes, 'mdat');
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const at: number[] = [];
    for (let i = 0; i + 4 <= payload.length; i++) if (view.getUint32(i) < 2000) at.push(i);
    for (let n = 1 + rnd.below(3); n > 0 && at.length; n--) view.setUint32(rnd.pick(at), rnd.extreme());
  },
  media(nodes, rnd) {
    const { payload } = findBox(nodes, 'mdat');
    if (!payload.length) return;
    const start = rnd.below(payload.length);
    const end = start + 1 + rnd.below(rnd.pick([4, 64, 4096]));
    for (let i = start; i < Math.min(end, payload.length); i++) payload[i] = rnd.below(256);
  },
};

const MUTATIONS = [...Object.keys(BOX_MUTATIONS), ...Object.keys(BYTE_MUTATIONS)];

/**
 * A broken copy of a well-formed MP4 or MOV file: one to three kinds of damage. Where boxes before the media data
 * grew or shrank, the chunks' offsets mostly follow, so that the damage alone decides what can be read.
 * @param bytes the intact file; not changed.
 * @param random uniform numbers in [0, 1); the same ones give the same file.
 */
export function mutateMp4(bytes: Uint8Array, random: Random): Damaged {
  const rnd = tools(random);
  const nodes = parseBoxes(bytes);
  const media = mediaStart(nodes);
  const offsets = structuredClone(allBoxes(nodes).find(({ type }) => type === 'stco'));
  const damage = Array.from({ length: rnd.pick([1, 1, 1, 2, 2, 3]) }, () => rnd.pick(MUTATIONS));
  for (const name of damage) {
    // Damage that needs a box which is gone by now is left out.
    if (name in BOX_MUTATIONS && allBoxes(nodes).length) attempt(() => BOX_MUTATIONS[name]!(nodes, rnd));
  }
  if (offsets && rnd.random() < 0.8) shiftChunks(nodes, offsets, mediaStart(nodes) - media);
  return { bytes: damageBytes(writeBoxes(nodes), damage, rnd), damage };
}

function attempt(mutation: () => void): void {
  try {
    mutation();
  } catch {
    // Nothing of the kind is left to break.
  }
}

function mediaStart(nodes: readonly BoxNode[]): number {
  let at = 0;
  for (const node of nodes) {
    if (node.type === 'mdat') return at;
    at += sizeOf(node);
  }
  return at;
}

/** Moves the chunks of the first table, where it is still what it was. */
function shiftChunks(nodes: readonly BoxNode[], original: BoxNode, by: number): void {
  const table = allBoxes(nodes).find(({ type }) => type === 'stco');
  if (!table || table.payload.join() !== original.payload.join()) return;
  const view = new DataView(table.payload.buffer, table.payload.byteOffset, table.payload.byteLength);
  for (let at = 8; at + 4 <= table.payload.length; at += 4) view.setUint32(at, view.getUint32(at) + by);
}
