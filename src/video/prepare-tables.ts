import { MAX_SAMPLES } from './raw-samples';

/** A box inside another one's bytes: `start` at its header, `body` after it. */
interface InnerBox {
  type: string;
  start: number;
  body: number;
  end: number;
}

/** The boxes that are read, by the box they stand in. */
const READ: Readonly<Record<string, readonly string[]>> = {
  moov: ['mvhd', 'trak', 'mvex'],
  trak: ['tkhd', 'edts', 'mdia'],
  edts: ['elst'],
  mdia: ['mdhd', 'hdlr', 'minf'],
  minf: ['stbl'],
  stbl: ['stsd', 'stts', 'ctts', 'stsc', 'stsz', 'stz2', 'stco', 'co64', 'stss'],
  mvex: ['mehd', 'trex'],
  moof: ['mfhd', 'traf'],
  traf: ['tfhd', 'tfdt', 'trun'],
};

/** Boxes of a sample entry that are read, the entries that have them, and the bytes before those boxes. */
const READ_OF_ENTRY = ['avcC', 'hvcC', 'vpcC', 'av1C', 'colr', 'pasp'];
const ENTRIES = ['avc1', 'avc3', 'hvc1', 'hev1', 'vp08', 'vp09', 'av01', 'encv'];
const ENTRY_HEADER = 78;

/** Tables by their box: where the number of entries stands after the header, and an entry's least bytes. */
const TABLES: Readonly<Record<string, { count: number; entry: number }>> = {
  elst: { count: 4, entry: 12 },
  stsd: { count: 4, entry: 8 },
  stts: { count: 4, entry: 8 },
  ctts: { count: 4, entry: 8 },
  stsc: { count: 4, entry: 12 },
  stsz: { count: 8, entry: 4 },
  stz2: { count: 8, entry: 0.5 },
  stco: { count: 4, entry: 4 },
  co64: { count: 4, entry: 8 },
  stss: { count: 4, entry: 4 },
  trun: { count: 4, entry: 0 },
};

/** The fields of an entry of `trun`, each of 4 bytes and there by its flag. */
const TRUN_FIELDS = [0x100, 0x200, 0x400, 0x800];

/**
 * Makes the bytes of a `moov` box safe for the parser, which trusts what it reads: whatever is not needed goes under
 * the name of `free`, boxes that do not fit into theirs included, and tables must have the entries that they claim.
 * Tracks that are not video go too (uncompressed sound lists 44,100 samples a second).
 * @param maxSamples a track has at most; a file has no more than bytes.
 * @returns the handlers of the tracks that were found, e.g. ['vide', 'soun'].
 * @throws RangeError where a table claims more entries than it has, or more samples than a file can have.
 */
export function keepVideoTracks(moov: Uint8Array, headerSize: number, maxSamples = MAX_SAMPLES): string[] {
  const tables = new TableBytes(moov, maxSamples);
  const box = { type: 'moov', start: 0, body: headerSize, end: moov.length };
  tables.keepOnly(box, READ.moov!);
  const handlers: string[] = [];
  for (const trak of tables.children(box)) {
    if (trak.type !== 'trak') continue;
    const hdlr = tables.find(trak, 'mdia', 'hdlr');
    const handler = hdlr && hdlr.body + 12 <= hdlr.end ? tables.text(hdlr.body + 8) : '';
    if (handler) handlers.push(handler);
    if (handler !== 'vide') tables.free(trak);
  }
  tables.check(box);
  return handlers;
}

/** Does the same for the bytes of a `moof` box. @throws RangeError as `keepVideoTracks`. */
export function checkFragment(moof: Uint8Array, headerSize: number, maxSamples = MAX_SAMPLES): void {
  const box = { type: 'moof', start: 0, body: headerSize, end: moof.length };
  new TableBytes(moof, maxSamples).check(box);
}

class TableBytes {
  private readonly view: DataView;
  private readonly maxSamples: number;

  constructor(
    private readonly bytes: Uint8Array,
    maxSamples: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.maxSamples = Math.min(maxSamples, MAX_SAMPLES);
  }

  text(at: number): string {
    return String.fromCharCode(...this.bytes.subarray(at, at + 4));
  }

  free(box: InnerBox): void {
    this.bytes.set([0x66, 0x72, 0x65, 0x65], box.start + 4);
  }

  /** The boxes from `from` on. What is left where one does not fit becomes a box `free`. */
  *children(parent: InnerBox, from = parent.body): Generator<InnerBox> {
    let start = from;
    while (start + 8 <= parent.end) {
      let size = this.view.getUint32(start);
      let header = 8;
      if (size === 1 && start + 16 <= parent.end) {
        size = Number(this.view.getBigUint64(start + 8));
        header = 16;
      }
      if (size < header || start + size > parent.end) {
        header = 8;
        size = parent.end - start;
        this.view.setUint32(start, size);
        this.bytes.set([0x66, 0x72, 0x65, 0x65], start + 4);
      }
      yield { type: this.text(start + 4), start, body: start + header, end: start + size };
      start += size;
    }
  }

  find(from: InnerBox, ...path: string[]): InnerBox | undefined {
    let box: InnerBox | undefined = from;
    for (const type of path) {
      if (!box) return undefined;
      box = [...this.children(box)].find((child) => child.type === type);
    }
    return box;
  }

  keepOnly(parent: InnerBox, types: readonly string[], from?: number): void {
    for (const child of this.children(parent, from)) if (!types.includes(child.type)) this.free(child);
  }

  check(box: InnerBox): void {
    if (box.type in TABLES) this.checkCount(box);
    const types = READ[box.type];
    if (types) {
      this.keepOnly(box, types);
      for (const child of this.children(box)) this.check(child);
    } else if (box.type === 'stsd') {
      for (const entry of this.children(box, box.body + 8)) this.checkEntry(entry);
    }
  }

  private checkEntry(entry: InnerBox): void {
    if (ENTRIES.includes(entry.type)) this.keepOnly(entry, READ_OF_ENTRY, entry.body + ENTRY_HEADER);
    else {
      // Of an unknown codec, its name and its pictures' size (the last bytes before 28) are all that is looked at.
      this.bytes.fill(0, Math.min(entry.body + 28, entry.end), entry.end);
      this.keepOnly(entry, [], entry.body + ENTRY_HEADER);
    }
  }

  private checkCount({ type, body, end }: InnerBox): void {
    const table = TABLES[type]!;
    if (body + table.count + 4 > end) throw new RangeError(`The table ${type} has no entries.`);
    const count = this.view.getUint32(body + table.count);
    let { entry } = table;
    // Samples of equal size are not listed.
    if (type === 'stsz' && this.view.getUint32(body + 4) !== 0) entry = 0;
    if (type === 'trun') {
      const flags = this.view.getUint32(body);
      for (const field of TRUN_FIELDS) if (flags & field) entry += 4;
    }
    if (count > this.maxSamples || count * entry > end - body - table.count - 4)
      throw new RangeError(`The table ${type} claims ${count} entries.`);
  }
}
