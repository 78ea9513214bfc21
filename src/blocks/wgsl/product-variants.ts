import linearCode from '../../../shaders/linear/linear.wgsl?raw';
import linearRowCode from '../../../shaders/linear/linear-row.wgsl?raw';
import linearTiledCode from '../../../shaders/linear/linear-tiled.wgsl?raw';
import linearUntransposedCode from '../../../shaders/linear/linear-untransposed.wgsl?raw';
import weightGradCode from '../../../shaders/linear/weight-grad.wgsl?raw';
import weightGradRowsCode from '../../../shaders/linear/weight-grad-rows.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { subgroupSize } from '../../gpu/subgroup-size';
import type { Addend, LinearForm, ProductForm, WeightGradForm } from './product-kernels';
import { type RegisterTiles, sharing, type Tiles, tilesFor, type WorkgroupTiles } from './tiles';

/** A kernel of a product: what it is compiled from, and what it makes in a workgroup. */
export interface Variant {
  /** Differs where anything else does. */
  name: string;
  code: string;
  /** Counts of expandWgsl and constants. */
  counts: Readonly<Record<string, number>>;
  aliases: Readonly<Record<string, string>>;
  subgroups: boolean;
  f16: boolean;
  /** Columns and rows of a workgroup. */
  group: readonly [number, number];
  /** Values of one step of the uniform block's counts: columns, inner channels. */
  units: readonly [number, number];
}

/** What the kernels of a form have in common. */
type Shared = Pick<Variant, 'counts' | 'f16'> & { words: string };

/** A thread's vec4s on either side of weight-grad.wgsl. */
const GRAD_TILE = 2;

/** The table of kernels of a product for an adapter. */
export class ProductVariants {
  private readonly tiles: Tiles['products'];
  /** Whether four neighbouring threads can swap registers. */
  private readonly quads: boolean;

  constructor(private readonly gpu: Gpu) {
    this.tiles = tilesFor(gpu).products;
    this.quads = subgroupSize(gpu) >= 4;
  }

  /** All kernels that a form may need. */
  all(form: ProductForm): Variant[] {
    if (form.kind === 'weight-grad') return [this.choose(form, 1, 'x'), this.choose(form, 1, 'w')];
    const few = this.tiles.kind === 'registers' ? [this.tiles.few] : this.tiles.few;
    return [...few, few.at(-1)! + 1].map((rows) => this.choose(form, rows, 'x'));
  }

  /**
   * The kernel that runs a form at a number of rows.
   * @param narrow of a weight's gradient: the operand with fewer columns.
   */
  choose(form: ProductForm, rows: number, narrow: 'x' | 'w'): Variant {
    const shared = sharedBy(form);
    const { tiles } = this;
    if (form.kind === 'weight-grad') return this.weightGrad(form, shared, narrow);
    if (tiles.kind === 'registers') return this.registers(form, shared, tiles, rows);
    const few = form.kind === 'linear' ? tiles.few.find((count) => rows <= count) : undefined;
    return few ? this.fewRows(form, shared, tiles, few) : this.tiled(form, shared);
  }

  private registers(form: LinearForm, shared: Shared, tiles: RegisterTiles, rows: number): Variant {
    const { rowPairs, columnPairs } =
      rows <= tiles.few || form.columns <= tiles.narrow ? tiles.small : tiles.large;
    const forward = form.kind === 'linear';
    const tile = { ROW_PAIRS: rowPairs, ...(forward ? { COLUMN_PAIRS: columnPairs } : widths(form)) };
    return {
      name: `registers ${rowPairs} ${forward ? columnPairs : 'wide'} ${shared.words}`,
      code: forward ? linearCode : linearUntransposedCode,
      counts: { ...shared.counts, ...tile, QUAD: +this.quads, ALONE: +!this.quads },
      aliases: aliases(form, { x: forward || form.wide, y: !forward }),
      subgroups: this.quads,
      f16: shared.f16,
      group: [forward ? 4 * columnPairs : 16, 4 * rowPairs],
      units: forward ? [1, 4] : [4, 1],
    };
  }

  private fewRows(form: LinearForm, shared: Shared, tiles: WorkgroupTiles, rows: number): Variant {
    const { lanes, rows: columns, ways } = sharing(this.gpu, tiles);
    const { SUBGROUP, BARRIER } = ways;
    return {
      name: `row ${rows} ${shared.words}`,
      code: linearRowCode,
      counts: { ...shared.counts, ROWS: rows, LANES: lanes, COLUMNS: columns, SUBGROUP, BARRIER },
      aliases: aliases(form, { x: true, y: false }),
      subgroups: SUBGROUP === 1,
      f16: shared.f16,
      group: [columns, rows],
      units: [1, 4],
    };
  }

  private tiled(form: LinearForm, shared: Shared): Variant {
    const forward = form.kind === 'linear';
    const sides = { FORWARD: +forward, BACKWARD: +!forward, ...widths(form) };
    return {
      name: `tiled ${shared.words}`,
      code: linearTiledCode,
      counts: { ...shared.counts, ...sides },
      aliases: aliases(form, { x: form.kind === 'linear' || form.wide, y: false }),
      subgroups: false,
      f16: shared.f16,
      group: [64, 64],
      units: [1, 1],
    };
  }

  private weightGrad(form: WeightGradForm, shared: Shared, narrow: 'x' | 'w'): Variant {
    const common = { aliases: aliases(form, { x: true, y: true }), f16: shared.f16, units: [4, 4] as const };
    const name = `${narrow} ${shared.words}`;
    if (this.tiles.kind === 'workgroup') {
      const along = { ALONG_A: +(narrow === 'w'), ALONG_B: +(narrow === 'x') };
      return {
        ...common,
        name: `rows ${name}`,
        code: weightGradRowsCode,
        counts: { ...shared.counts, ...along },
        subgroups: false,
        group: narrow === 'x' ? [64, 4] : [4, 64],
      };
    }
    const { quads } = this;
    const share = {
      SHARE_A: +(quads && narrow === 'x'),
      SHARE_B: +(quads && narrow === 'w'),
      ALONE: +!quads,
    };
    const side = 4 * GRAD_TILE;
    return {
      ...common,
      name: `registers ${name}`,
      code: weightGradCode,
      counts: { ...shared.counts, ...share, A4: GRAD_TILE, B4: GRAD_TILE },
      subgroups: quads,
      // Without swapping the four threads lie along b's columns.
      group: share.SHARE_B ? [side, 4 * side] : [4 * side, side],
    };
  }
}

function sharedBy(form: ProductForm): Shared {
  const { kind, addend, types } = form;
  const terms = kind === 'weight-grad' ? 1 : form.terms;
  const list = [...types.x, ...types.w, types.c, types.y];
  const width = kind === 'untransposed' ? (form.wide ? 'wide' : 'any') : '';
  return {
    words: `${kind} ${terms} ${addend} ${width} ${list.join(' ')}`,
    counts: { TERMS: terms, ...addendCounts(addend) },
    f16: list.includes('f16'),
  };
}

function addendCounts(addend: Addend): { BIAS: number; RESIDUAL: number } {
  return { BIAS: +(addend === 'bias'), RESIDUAL: +(addend === 'residual') };
}

/** Whether rows of x begin at a vec4: those of a linear layer do. */
function widths(form: LinearForm): { WIDE: number; ANY: number } {
  const wide = form.kind === 'linear' || form.wide;
  return { WIDE: +wide, ANY: +!wide };
}

/** Types by term; `vectors` says where x, and y with c, are read as vec4s. */
function aliases({ types }: ProductForm, vectors: { x: boolean; y: boolean }): Record<string, string> {
  const vector = (type: string, yes: boolean) => (yes ? `vec4<${type}>` : type);
  const named: Record<string, string> = {
    C: vector(types.c, vectors.y),
    Y: vector(types.y, vectors.y),
  };
  for (const [i, type] of types.x.entries()) named[`X_${i}`] = vector(type, vectors.x);
  for (const [i, type] of types.w.entries()) named[`W_${i}`] = vector(type, true);
  return named;
}
