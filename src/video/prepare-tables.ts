/** A box inside another one's bytes: `start` at its header, `body` after it. */
interface InnerBox {
  type: string;
  start: number;
  body: number;
  end: number;
}

/** Ten million samples: four days at 30 frames a second. A larger count is damage, and would exhaust memory. */
const MAX_SAMPLES = 10_000_000;

function* children(bytes: Uint8Array, from: number, to: number): Generator<InnerBox> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = from;
  while (start + 8 <= to) {
    let size = view.getUint32(start);
    let header = 8;
    if (size === 1 && start + 16 <= to) {
      size = Number(view.getBigUint64(start + 8));
      header = 16;
    }
    if (size < header || start + size > to) return;
    const type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    yield { type, start, body: start + header, end: start + size };
    start += size;
  }
}

function find(bytes: Uint8Array, from: InnerBox, ...path: string[]): InnerBox | undefined {
  let box: InnerBox | undefined = from;
  for (const type of path) {
    if (!box) return undefined;
    box = [...children(bytes, box.body, box.end)].find((child) => child.type === type);
  }
  return box;
}

/**
 * Renames the tracks that are not video to `free` in the bytes of a `moov` box, so that the parser does not list
 * their samples (uncompressed sound has one for each of 44,100 a second), and checks the number of samples.
 * @returns the handlers of the tracks that were found, e.g. ['vide', 'soun'].
 * @throws RangeError where a table claims more samples than a file can have.
 */
export function keepVideoTracks(moov: Uint8Array, headerSize: number): string[] {
  const view = new DataView(moov.buffer, moov.byteOffset, moov.byteLength);
  const handlers: string[] = [];
  for (const trak of children(moov, headerSize, moov.length)) {
    if (trak.type !== 'trak') continue;
    const hdlr = find(moov, trak, 'mdia', 'hdlr');
    if (!hdlr || hdlr.body + 12 > hdlr.end) continue;
    const handler = String.fromCharCode(...moov.subarray(hdlr.body + 8, hdlr.body + 12));
    handlers.push(handler);
    if (handler !== 'vide') {
      moov.set([0x66, 0x72, 0x65, 0x65], trak.start + 4);
      continue;
    }
    const sizes = find(moov, trak, 'mdia', 'minf', 'stbl', 'stsz');
    if (sizes && sizes.body + 12 <= sizes.end) checkCount(view.getUint32(sizes.body + 8));
  }
  return handlers;
}

/** Checks the number of samples that the bytes of a `moof` box list. @throws RangeError as `keepVideoTracks`. */
export function checkFragment(moof: Uint8Array, headerSize: number): void {
  const view = new DataView(moof.buffer, moof.byteOffset, moof.byteLength);
  for (const traf of children(moof, headerSize, moof.length)) {
    if (traf.type !== 'traf') continue;
    for (const trun of children(moof, traf.body, traf.end))
      if (trun.type === 'trun' && trun.body + 8 <= trun.end) checkCount(view.getUint32(trun.body + 4));
  }
}

function checkCount(samples: number): void {
  if (samples > MAX_SAMPLES) throw new RangeError(`The table lists ${samples} samples.`);
}
