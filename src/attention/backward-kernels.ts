import keysCode from '../../shaders/attention/backward-kv.wgsl?raw';
import quadKeysCode from '../../shaders/attention/backward-kv-quad.wgsl?raw';
import tileKeysCode from '../../shaders/attention/backward-kv-tile.wgsl?raw';
import queriesCode from '../../shaders/attention/backward-q.wgsl?raw';
import quadQueriesCode from '../../shaders/attention/backward-q-quad.wgsl?raw';
import tileQueriesCode from '../../shaders/attention/backward-q-tile.wgsl?raw';
import keysPrelude from '../../shaders/attention/keys.wgsl?raw';
import quadScores from '../../shaders/attention/quad-scores.wgsl?raw';
import queriesPrelude from '../../shaders/attention/queries.wgsl?raw';
import tileScores from '../../shaders/attention/tile-scores.wgsl?raw';
import unitsPrelude from '../../shaders/attention/units.wgsl?raw';
import type { Gpu } from '../gpu/device';
import type { Kernel } from '../gpu/kernel';
import { compileAttention } from './attention-kernel';
import { KEY_TILE_ROWS } from './key-plan';
import type { AttentionShape } from './reference';
import type { AttentionTypes, BackwardVariant } from './variants';

/** One side of a backward attention: the gradient of the queries, or of keys and values. */
interface Side {
  /** WGSL behind the side's prelude. */
  code: string;
  /** Counts of `#for` loops, constants too. */
  counts: Readonly<Record<string, number>>;
  constants?: Readonly<Record<string, number>>;
}

/** The two kernels of a variant. */
interface Sources {
  /** In words, as part of their names. */
  how: string;
  queries: Side;
  keys: Side;
  /** Texts that stand for `#use` lines. */
  parts?: Readonly<Record<string, string>>;
  subgroups?: boolean;
}

/** Virtual rows that a thread, a quad or a workgroup of dQ takes through its keys. */
export function rowsAtOnce(variant: BackwardVariant): number {
  if (variant.kind === 'tiles') return variant.OWN;
  return variant.kind === 'quads' ? 4 * variant.rowPairs : variant.queryR;
}

/** Workgroups that share a tile of keys. */
export function tileParts(variant: BackwardVariant): number {
  return variant.kind === 'quads' ? KEY_TILE_ROWS / (4 * variant.keyPairs) : 1;
}

/** Compiles both kernels of a variant: dQ over units of query rows, dK and dV over tiles of keys. */
export async function compileBackward(
  gpu: Gpu,
  shape: AttentionShape,
  types: AttentionTypes,
  variant: BackwardVariant,
): Promise<{ queries: Kernel; keys: Kernel }> {
  const { how, queries, keys, parts = {}, subgroups = false } = sourcesOf(variant, shape);
  const compile = (name: string, prelude: string, { code, counts, constants }: Side) =>
    compileAttention(gpu, shape, types, {
      name: `attention backward ${name}${how}`,
      code: `${prelude}\n${code}`,
      counts,
      constants: { TILE_PARTS: tileParts(variant), ...counts, ...constants },
      parts,
      subgroups,
    });
  const [compiledQueries, compiledKeys] = await Promise.all([
    compile('q', `${unitsPrelude}\n${queriesPrelude}`, queries),
    compile('kv', keysPrelude, keys),
  ]);
  return { queries: compiledQueries, keys: compiledKeys };
}

function sourcesOf(variant: BackwardVariant, { head_dim }: AttentionShape): Sources {
  if (variant.kind === 'quads') {
    const counts = { ROW_PAIRS: variant.rowPairs, KEY_PAIRS: variant.keyPairs };
    return {
      how: ', quads,',
      queries: { code: quadQueriesCode, counts },
      keys: { code: quadKeysCode, counts },
      parts: { scores: quadScores },
      subgroups: true,
    };
  }
  if (variant.kind === 'tiles') {
    const { OWN, LANES, PER, CHUNK } = variant;
    const counts = { OWN, LANES, PER, CHUNK, CPT: Math.ceil(head_dim / 4 / LANES) };
    return {
      how: ', tiles,',
      queries: { code: `${tileScores}\n${tileQueriesCode}`, counts },
      keys: { code: `${tileScores}\n${tileKeysCode}`, counts },
    };
  }
  const { queryR, queryB, keyR, keyB, WG } = variant;
  return {
    how: '',
    queries: { code: queriesCode, counts: { R: queryR, B: queryB }, constants: { WG } },
    keys: {
      code: keysCode,
      counts: { R: keyR, B: keyB },
      constants: { WG: Math.ceil(KEY_TILE_ROWS / keyR) },
    },
  };
}
