import { loadOrt } from '../../src/blocks/ort/load-ort';
import { Tokenizer } from '../../src/model/tokenizer';
import { memoryStore } from '../../src/weights/file-store';
import { compareWithGolden, type GoldenText } from '../support/tokenizer-golden';

/** What the test asks the worker to do. */
export interface TokenizerJob {
  files: Map<string, string>;
  golden: GoldenText;
}

/** What the worker found. */
export interface TokenizerReport {
  problems: string[];
  source: string;
  /** Where ONNX Runtime, loaded afterwards, would look for its wasm file. */
  wasmPaths: string;
  /** A request that the worker makes on purpose, to show that `resources` would have it. */
  probe: string;
  /** Everything the worker fetched: the modules it is made of, and nothing else. */
  resources: string[];
}

addEventListener('message', async ({ data }: MessageEvent<TokenizerJob>) => {
  const tokenizer = await Tokenizer.load(memoryStore(data.files));
  const problems = compareWithGolden(tokenizer, data.golden);
  const probe = new URL('/tests/golden/text.json', location.href).href;
  await (await fetch(probe)).arrayBuffer();
  const resources = performance.getEntriesByType('resource').map((entry) => entry.name);
  const wasmPaths = JSON.stringify((await loadOrt()).env.wasm.wasmPaths ?? null);
  const report: TokenizerReport = { problems, probe, source: tokenizer.source, wasmPaths, resources };
  postMessage(report);
});
