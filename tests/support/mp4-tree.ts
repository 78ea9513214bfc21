/** A box of an MP4 file, taken apart so that tests can break it and put it together again. */
export interface BoxNode {
  type: string;
  /** Bytes after the header: all of a leaf's, or those before the children. */
  payload: Uint8Array;
  children: BoxNode[] | undefined;
  /** What the header claims, instead of the true size. */
  claimed?: number;
  /** 8 bytes instead of 4 for the size. */
  large?: boolean;
}

/** Bytes before the first child, by box. */
const CONTAINERS: Record<string, number> = {
  ...Object.fromEntries(
    ['moov', 'trak', 'mdia', 'minf', 'stbl', 'edts', 'dinf', 'mvex', 'moof', 'traf', 'udta'].map((t) => [
      t,
      0,
    ]),
  ),
  stsd: 8,
  dref: 8,
  ...Object.fromEntries(['avc1', 'hvc1', 'vp09', 'av01', 'mp4v'].map((type) => [type, 78])),
};

/** Takes the boxes of a well-formed file apart. */
export function parseBoxes(bytes: Uint8Array): BoxNode[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nodes: BoxNode[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    let size = view.getUint32(at);
    const large = size === 1;
    if (large) size = Number(view.getBigUint64(at + 8));
    if (size === 0) size = bytes.length - at;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + (large ? 16 : 8), at + size);
    const before = CONTAINERS[type];
    nodes.push({
      type,
      payload: body.slice(0, before ?? body.length),
      children: before === undefined ? undefined : parseBoxes(body.subarray(before)),
      ...(large ? { large } : {}),
    });
    at += size;
  }
  return nodes;
}

/** True size in bytes of a box as it will be written. */
export function sizeOf(node: BoxNode): number {
  const children = node.children?.reduce((sum, child) => sum + sizeOf(child), 0) ?? 0;
  return (node.large ? 16 : 8) + node.payload.length + children;
}

/** Writes boxes one after another. */
export function writeBoxes(nodes: readonly BoxNode[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(nodes.reduce((sum, node) => sum + sizeOf(node), 0));
  const view = new DataView(out.buffer);
  let at = 0;
  const write = (node: BoxNode): void => {
    const size = node.claimed ?? sizeOf(node);
    view.setUint32(at, node.large ? 1 : size);
    for (let i = 0; i < 4; i++) out[at + 4 + i] = node.type.charCodeAt(i);
    if (node.large) view.setBigUint64(at + 8, BigInt(size));
    at += node.large ? 16 : 8;
    out.set(node.payload, at);
    at += node.payload.length;
    node.children?.forEach(write);
  };
  nodes.forEach(write);
  return out;
}

/** A box of these bytes, or of these boxes after them. */
export function box(type: string, payload: ArrayLike<number>, children?: BoxNode[]): BoxNode {
  return { type, payload: Uint8Array.from(payload), children };
}

/** All boxes below these, parents first. */
export function allBoxes(nodes: readonly BoxNode[]): BoxNode[] {
  return nodes.flatMap((node) => [node, ...allBoxes(node.children ?? [])]);
}

/** The first box of a type, at any depth. @throws Error where there is none. */
export function findBox(nodes: readonly BoxNode[], type: string): BoxNode {
  const found = allBoxes(nodes).find((node) => node.type === type);
  if (!found) throw new Error(`There is no ${type} box.`);
  return found;
}
