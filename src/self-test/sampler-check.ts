import { randomValues } from '../bench/random-values';
import { decodeRecord, RECORD_WORDS, type SampleRecord, type SampleRow, Sampler } from '../generate/sampler';
import { sampleReference } from '../generate/sampler-reference';
import type { DrawSettings } from '../generate/settings';
import { Recorder } from '../gpu/recorder';
import { createTensor, readTensor, uploadTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';

const VOCAB = 547;
const ROWS: SampleRow[] = [0, 1, 2].map((sample) => ({ question: 1, sample, position: 4, active: true }));
const PLAIN: DrawSettings = { temperature: 1, top_k: 0, top_p: 1, seed: 7 };
const DRAWS: DrawSettings[] = [
  { ...PLAIN, temperature: 0 },
  PLAIN,
  { ...PLAIN, temperature: 0.7, top_k: 40, top_p: 0.8, min_p: 0.01 },
];

/** The choice of tokens: greedy, from the whole distribution, and truncated. */
export const samplerCheck: Check = {
  name: 'sampler',
  ways: ['subgroups'],
  // Of log-probabilities, which are sums of exponentials over the vocabulary.
  tolerance: 1e-4,
  async prepare(gpu) {
    const sampler = await Sampler.create(gpu, { vocab_size: VOCAB });
    return async () => {
      const values = randomValues(51, ROWS.length * VOCAB).map((value) => 5 * value);
      const logits = uploadTensor(gpu, values, [ROWS.length, VOCAB], 'f32', 'logits');
      const recorder = new Recorder(gpu, 'self-test');
      const outputs = DRAWS.map((settings) => {
        const tokens = createTensor(gpu, [ROWS.length], 'i32', 'tokens');
        const records = createTensor(gpu, [ROWS.length, RECORD_WORDS], 'u32', 'records');
        sampler.record(recorder, { logits, tokens, records, settings, rows: ROWS });
        return { settings, tokens, records };
      });
      recorder.submit();
      let worst = 0;
      for (const { settings, tokens, records } of outputs) {
        const words = (await readTensor(gpu, records)) as Uint32Array;
        const ids = (await readTensor(gpu, tokens)) as Int32Array;
        for (const [row, counter] of ROWS.entries()) {
          const own = values.subarray(row * VOCAB, (row + 1) * VOCAB);
          const expected = sampleReference(own, settings, { ...counter, seed: settings.seed });
          const found = decodeRecord(words, row);
          const same =
            [wholes(expected).join(), expected.id].join() === [wholes(found).join(), ids[row]].join();
          worst = Math.max(
            worst,
            same ? relativeError(parts(found), parts(expected)) : Number.POSITIVE_INFINITY,
          );
        }
        for (const { buffer } of [tokens, records]) buffer.destroy();
      }
      logits.buffer.destroy();
      return worst;
    };
  },
};

/** What is exact in a record. */
function wholes({ status, id, rank, survivors, top }: SampleRecord): number[] {
  return [status, id, rank, survivors, ...top.map((token) => token.id)];
}

function parts({ logp, entropy, sampling_logp, prob, top }: SampleRecord): number[] {
  return [logp, entropy, sampling_logp, prob, ...top.map((token) => token.probability)];
}
