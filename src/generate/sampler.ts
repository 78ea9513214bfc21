import code from '../../shaders/sampling/sample.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { subgroupSize } from '../gpu/subgroup-size';
import { type GpuTensor, sizeOf } from '../gpu/tensor';
import { seedWords } from './random';
import type { DrawSettings } from './settings';

/** Words of a row's record on the GPU: see `decodeRecord`. */
export const RECORD_WORDS = 24;
/** Rows of one dispatch: what the 256 bytes of a uniform block hold. */
const ROWS_A_DISPATCH = 14;
const TOP = 8;
/** Stands for the logarithm of 0: WGSL has no infinity to rely on. */
const LOWEST_FLOAT = -3.4e38;

/** Which random number a row takes (see random.ts). */
export interface SampleRow {
  /** Which question of a run: whole, below 2^32, as the other two. */
  question: number;
  /** Which answer of the question's group. */
  sample: number;
  /** Which token of the answer. */
  position: number;
  /** False: the answer has ended; nothing is computed or written for this row. */
  active: boolean;
}

/** What is known of a sampled token. */
export interface SampleRecord {
  /** 0, or a sum of 1 (a logit is NaN), 2 (a logit is +inf), 4 (no logit is finite). Then id is -1 and the rest 0. */
  status: number;
  id: number;
  /** Natural log-probability in the full vocabulary at temperature 1. */
  logp: number;
  /** Entropy in nats of the full vocabulary at the sampling temperature (at 1 where that is 0), before truncation. */
  entropy: number;
  /** Number of tokens that rank before it: 0 is the most probable. */
  rank: number;
  /** Tokens left by top-k, top-p and min-p (1 for greedy). */
  survivors: number;
  /** Natural log-probability in the distribution that was sampled from: temperature and truncation applied. */
  sampling_logp: number;
  /** Its probability in the full vocabulary at the temperature (at 1 where that is 0), before truncation. */
  prob: number;
  /** The 8 most probable tokens, best first, with the same probability; truncation leaves the first `survivors`. */
  top: { id: number; probability: number }[];
}

/**
 * Reads the record of a row from the words of a records tensor `[B, RECORD_WORDS]`: status, id, logp, entropy, rank,
 * survivors, sampling_logp, prob, 8 ids, 8 probabilities; integers or f32, 4 bytes each.
 */
export function decodeRecord(words: Uint32Array, row: number): SampleRecord {
  const at = row * RECORD_WORDS;
  if (at + RECORD_WORDS > words.length) throw new Error(`There is no sample record ${row}.`);
  const ints = new Int32Array(words.buffer, words.byteOffset + 4 * at, RECORD_WORDS);
  const floats = new Float32Array(words.buffer, words.byteOffset + 4 * at, RECORD_WORDS);
  const top: SampleRecord['top'] = [];
  for (let i = 0; i < TOP; i++) {
    if (ints[8 + i]! >= 0) top.push({ id: ints[8 + i]!, probability: floats[16 + i]! });
  }
  return {
    status: ints[0]!,
    id: ints[1]!,
    logp: floats[2]!,
    entropy: floats[3]!,
    rank: ints[4]!,
    survivors: ints[5]!,
    sampling_logp: floats[6]!,
    prob: floats[7]!,
    top,
  };
}

/** Throws where settings make no sense, in a sentence for the user. */
export function checkSettings(settings: DrawSettings): void {
  const { temperature, top_k, top_p, min_p = 0, seed } = settings;
  if (!(temperature === 0 || (temperature >= 1e-3 && temperature <= 1e3)))
    throw new Error(`temperature must be 0 (greedy) or from 0.001 to 1000, not ${temperature}.`);
  if (!Number.isInteger(top_k) || top_k < 0)
    throw new Error(`top_k must be a whole number, 0 for off, not ${top_k}.`);
  if (!(top_p >= 0 && top_p <= 1)) throw new Error(`top_p must be from 0 to 1, not ${top_p}.`);
  if (!(min_p >= 0 && min_p <= 1)) throw new Error(`min_p must be from 0 to 1, not ${min_p}.`);
  seedWords(seed);
}

/** Chooses tokens from logits on the GPU, so that no logit and no token has to visit the CPU. */
export class Sampler {
  private readonly params = new ArrayBuffer(256);

  private constructor(
    readonly vocab_size: number,
    private readonly kernel: Kernel,
  ) {}

  /**
   * Compiles the kernel. It serves any number of rows.
   * @throws Error for a vocabulary of 2^24 or more.
   */
  static async create(gpu: Gpu, options: { vocab_size: number }): Promise<Sampler> {
    const { vocab_size } = options;
    if (!Number.isInteger(vocab_size) || vocab_size < 1 || vocab_size >= 2 ** 24)
      throw new Error(`The sampler handles vocabularies of 1 to 2^24 - 1 tokens, not ${vocab_size}.`);
    // A CPU adapter pays for every thread at every barrier, and has too few of them to share by shuffles.
    const WG = gpu.adapter.isFallback ? 16 : 256;
    const size = subgroupSize(gpu);
    const subgroups = !gpu.adapter.isFallback && size >= 4;
    const LANES = subgroups ? Math.min(32, size) : 1;
    const kernel = await compileKernel(gpu, {
      name: 'sample',
      code: expandWgsl(code, { SUBGROUP: +subgroups }),
      constants: { WG, LANES },
      subgroups,
    });
    return new Sampler(vocab_size, kernel);
  }

  /**
   * Records the choice of a token for each active row.
   * @param options.logits f32 `[B, V]`
   * @param options.tokens i32 `[B]`, written: the token id, -1 where the logits hold NaN, +inf or nothing finite
   * @param options.records u32 `[B, RECORD_WORDS]`, written: see `decodeRecord`
   * @param options.rows one for each row of logits from `first` on
   * @param options.first default 0
   * @throws Error where settings or shapes make no sense.
   */
  record(
    recorder: Recorder,
    options: {
      logits: GpuTensor;
      tokens: GpuTensor;
      records: GpuTensor;
      settings: DrawSettings;
      rows: readonly SampleRow[];
      first?: number;
    },
  ): void {
    const { logits, tokens, records, settings, rows, first: begin = 0 } = options;
    checkSettings(settings);
    const B = begin + rows.length;
    if (logits.dtype !== 'f32' || sizeOf(logits.shape) < B * this.vocab_size) {
      throw new Error(
        `The sampler takes f32 logits [${B}, ${this.vocab_size}], not [${logits.shape.join(', ')}] ${logits.dtype}.`,
      );
    }
    if (tokens.dtype !== 'i32' || sizeOf(tokens.shape) < B)
      throw new Error(`The sampler writes ${B} i32 tokens.`);
    if (records.dtype !== 'u32' || sizeOf(records.shape) < B * RECORD_WORDS)
      throw new Error(`The sampler writes ${B} records of ${RECORD_WORDS} u32 words.`);
    const floats = new Float32Array(this.params);
    const words = new Uint32Array(this.params);
    const [low, high] = seedWords(settings.seed);
    for (let first = begin; first < B; first += ROWS_A_DISPATCH) {
      const count = Math.min(ROWS_A_DISPATCH, B - first);
      floats[0] = settings.temperature;
      floats[1] = settings.top_p;
      words.set([Math.min(settings.top_k, this.vocab_size), this.vocab_size, first, low, high], 2);
      floats[7] = Math.max(Math.log(settings.min_p ?? 0), LOWEST_FLOAT);
      let alive = false;
      for (let i = 0; i < count; i++) {
        const { question, sample, position, active } = rows[first - begin + i]!;
        words.set([question, sample, position, active ? 1 : 0], 8 + 4 * i);
        alive ||= active;
      }
      if (alive) recorder.dispatch(this.kernel, this.params, [logits, tokens, records], [count]);
    }
  }
}
