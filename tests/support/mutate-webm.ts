import { BYTE_MUTATIONS, type Damaged, damageBytes, type Random, type Tools, tools } from './mutate-bytes';

/** An EBML element, taken apart. */
interface Element {
  id: Uint8Array;
  /** The bytes of the size as they are written; undefined: the true size, in 8 bytes. */
  size: Uint8Array | undefined;
  payload: Uint8Array;
  children: Element[] | undefined;
}

/** Elements that hold others: EBML, Segment, SeekHead, Info, Tracks, Cluster, BlockGroup, Cues and what is in them. */
const MASTERS = new Set(
  '1a45dfa3 18538067 114d9b74 4dbb 1549a966 1654ae6b ae e0 1f43b675 a0 1c53bb6b bb b7 1254c367 7373'.split(
    ' ',
  ),
);

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Takes the elements of a well-formed file of known sizes apart. */
function parse(bytes: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const idLength = Math.clz32(bytes[at]!) - 23;
    const sizeAt = at + idLength;
    const sizeLength = Math.clz32(bytes[sizeAt]!) - 23;
    let size = bytes[sizeAt]! & (0xff >> sizeLength);
    for (let i = 1; i < sizeLength; i++) size = size * 256 + bytes[sizeAt + i]!;
    const body = sizeAt + sizeLength;
    const id = bytes.slice(at, sizeAt);
    const isMaster = MASTERS.has(hex(id));
    const payload = bytes.slice(body, body + size);
    elements.push({
      id,
      size: undefined,
      payload: isMaster ? new Uint8Array() : payload,
      children: isMaster ? parse(payload) : undefined,
    });
    at = body + size;
  }
  return elements;
}

function write(elements: readonly Element[]): Uint8Array {
  const parts = elements.flatMap(({ id, size, payload, children }) => {
    const body = new Uint8Array([...payload, ...(children ? write(children) : [])]);
    const true8 = new Uint8Array(8);
    new DataView(true8.buffer).setBigUint64(0, BigInt(body.length) | (1n << 56n));
    return [id, size ?? true8, body];
  });
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function all(elements: readonly Element[]): Element[] {
  return elements.flatMap((element) => [element, ...all(element.children ?? [])]);
}

/** Sizes that parsers trip over: none, not known, more than there is. */
const SIZES = [
  '80',
  'ff',
  '81',
  '01ffffffffffffff',
  '01fffffffffffffe',
  '0100000080000000',
  '1fffffff',
  '00',
];

const bytesOf = (text: string) => Uint8Array.from(text.match(/../g)!, (pair) => Number.parseInt(pair, 16));

const ELEMENT_MUTATIONS: Record<string, (elements: Element[], rnd: Tools) => void> = {
  remove(elements, rnd) {
    const list = siblings(elements, rnd);
    list.splice(rnd.below(list.length), 1);
  },
  duplicate(elements, rnd) {
    const list = siblings(elements, rnd);
    list.splice(rnd.below(list.length + 1), 0, structuredClone(rnd.pick(list)));
  },
  swap(elements, rnd) {
    const list = siblings(elements, rnd);
    const [a, b] = [rnd.below(list.length), rnd.below(list.length)];
    [list[a], list[b]] = [list[b]!, list[a]!];
  },
  graft(elements, rnd) {
    const copy = structuredClone(rnd.pick(all(elements)));
    siblings(elements, rnd).push(copy);
  },
  claim(elements, rnd) {
    rnd.pick(all(elements)).size = bytesOf(rnd.pick(SIZES));
  },
  resize(elements, rnd) {
    const element = rnd.pick(all(elements));
    element.payload = element.payload.slice(0, rnd.below(element.payload.length + 1));
  },
  rename(elements, rnd) {
    const list = all(elements);
    rnd.pick(list).id = rnd.pick(list).id;
  },
  number(elements, rnd) {
    // Most small payloads are numbers: times, sizes, track numbers, codecs.
    const small = all(elements).filter(({ payload }) => payload.length > 0 && payload.length <= 8);
    const { payload } = rnd.pick(small);
    payload.fill(rnd.pick([0, 1, 0x7f, 0x80, 0xff, rnd.below(256)]));
  },
  flip(elements, rnd) {
    const { payload } = rnd.pick(all(elements).filter((element) => element.payload.length));
    for (let n = 1 + rnd.below(8); n > 0; n--) payload[rnd.below(payload.length)]! ^= 1 << rnd.below(8);
  },
};

function siblings(elements: Element[], rnd: Tools): Element[] {
  return rnd.pick([
    elements,
    ...all(elements).flatMap(({ children }) => (children?.length ? [children] : [])),
  ]);
}

const MUTATIONS = [...Object.keys(ELEMENT_MUTATIONS), ...Object.keys(BYTE_MUTATIONS)];

/**
 * A broken copy of a well-formed WebM or Matroska file whose elements all have known sizes.
 * @param random uniform numbers in [0, 1); the same ones give the same file.
 */
export function mutateWebm(bytes: Uint8Array, random: Random): Damaged {
  const rnd = tools(random);
  const elements = parse(bytes);
  const damage = Array.from({ length: rnd.pick([1, 1, 1, 2, 2, 3]) }, () => rnd.pick(MUTATIONS));
  for (const name of damage)
    if (name in ELEMENT_MUTATIONS && all(elements).length > 1) ELEMENT_MUTATIONS[name]!(elements, rnd);
  return { bytes: damageBytes(write(elements), damage, rnd), damage };
}
