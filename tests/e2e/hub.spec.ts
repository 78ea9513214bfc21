import { readdirSync, readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';
import {
  type HubFault,
  type HubRequest,
  type SyntheticHub,
  startSyntheticHub,
} from '../../src/cli/synthetic-hub/hub-server';
import { type HubFile, storedFile, syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { sharded, shardName } from '../support/sharded';

// The real engine and a hub that serves the toy model: a precision for each part, chosen while it loads, faults that pass,
// a load that is stopped and goes on at the next visit, what is kept and what is damaged of it, an answer in few bits.

const TOY = 'public/models/toy';
/** Each in a small shard, which comes whole; all others in a large one, which comes by ranges. */
const ALONE = [0, 1, 2, 3].map((layer) => `language_model.model.layers.${layer}.self_attn.o_proj.weight`);
const shard = (number: number) => shardName(number, ALONE.length + 1);
const LARGE = shard(ALONE.length + 1);
/** The loader's reads of the large shard. */
const READ_BYTES = 4 * 2 ** 20;
let hub: SyntheticHub;

test.beforeAll(async () => {
  const files = readdirSync(TOY)
    .filter((name) => !name.endsWith('.safetensors'))
    .map((name): [string, HubFile] => [name, storedFile(readFileSync(`${TOY}/${name}`))]);
  const toy = new Map([...files, ...sharded(readFileSync(`${TOY}/model.safetensors`), ALONE)]);
  // A model of 240 MB whose weights are made when they are asked for, which nobody does.
  const config = JSON.parse(readFileSync(`${TOY}/config.json`, 'utf8'));
  const vocab_size = 800_000;
  const text_config = { ...config.text_config, vocab_size };
  const large = syntheticRepository({ ...config, text_config, vocab_size }, new Map());
  hub = await startSyntheticHub(
    new Map([
      ['some/toy', toy],
      ['some/large', large],
    ]),
  );
});
test.afterAll(() => hub.close());

/** What goes wrong: small shards have faults that pass, the large one breaks off, and its end does not come. */
function faults({ file, range }: HubRequest): HubFault | undefined {
  const [first, last] = range ?? [0, 0];
  const once = (fault: HubFault, same: (range: HubRequest['range']) => boolean = () => true) =>
    hub.requests.filter((other) => other.file === file && same(other.range)).length > 1 ? undefined : fault;
  switch (file) {
    case shard(1):
      return once({ kind: 'status', status: 429, retryAfter: 0 });
    case shard(2):
      return once({ kind: 'status', status: 503 });
    case shard(3):
      return once({ kind: 'cut', after: 0 });
    case shard(4):
      return { kind: 'no-ranges' };
    case LARGE:
      if (first >= READ_BYTES) return { kind: 'slow', ms: 60_000 };
      return last - first < 2 ** 20
        ? undefined
        : once({ kind: 'cut', after: 2_000_000 }, (other) => other !== undefined && other[1] === last);
    default:
      return undefined;
  }
}

/** Changes bytes in the middle of the largest tensor of the kept weights. */
async function damageWeights(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const models = await root.getDirectoryHandle('models');
    for await (const handle of models.values()) {
      if (handle.kind !== 'directory') continue;
      const folder = handle as FileSystemDirectoryHandle;
      const lines = await (await folder.getFileHandle('tensors.jsonl')).getFile();
      const tensors = (await lines.text()).trim().split('\n');
      const places = tensors
        .map((line) => JSON.parse(line) as { start: number; parts: { bytes: number }[] })
        .map(({ start, parts }) => ({ start, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) }))
        .sort((a, b) => b.bytes - a.bytes);
      const { start, bytes } = places[0]!;
      const weights = await folder.getFileHandle('weights.bin');
      const writer = await weights.createWritable({ keepExistingData: true });
      const position = start + (bytes >> 1);
      await writer.write({ type: 'write', position, data: new Uint8Array([1, 2, 3, 4]) });
      await writer.close();
    }
  });
}

test('a model of the hub: planned, in few bits, stopped, damaged, gone on with, kept, asked, deleted', async ({
  page,
}) => {
  await page.goto('./');
  const chip = page.getByTestId('model-chip');
  const dialog = page.getByRole('dialog', { name: 'Models' });
  const error = dialog.getByTestId('error');
  const rows = dialog.getByTestId('kept-model');
  const kept = rows.filter({ hasText: '4-bit' });
  const loading = dialog.getByTestId('loading-model');
  const plan = dialog.getByTestId('model-plan');
  const load = async (name: string) => {
    await dialog.getByLabel('From the hub, or an address').fill(name);
    await dialog.getByRole('button', { name: 'Load', exact: true }).click();
  };
  const ready = async () => {
    // Until it is there the chip names the model that answers, which compiles beside it.
    await expect(chip).toContainText('toy', { timeout: 90_000 });
    await expect(chip).toHaveAttribute('data-status', 'ready', { timeout: 90_000 });
  };
  await chip.click();
  await dialog.getByLabel('Hub', { exact: true }).fill(hub.endpoint);

  await test.step('what is wrong with a repository is said before anything is loaded', async () => {
    await load('some/nothing');
    await expect(error).toContainText('config.json could not be read: there is no such repository');
    hub.fault = ({ file }) => (file === shard(2) ? { kind: 'html' } : undefined);
    await load('some/toy');
    await expect(error).toContainText(`lacks ${shard(2)}, which the index names`);
    hub.fault = () => undefined;
  });

  await test.step('a large one shows its plan, of which only headers are read', async () => {
    const before = hub.bytesSent;
    await load('some/large');
    await expect(plan.getByRole('button', { name: /^Download 2\d\d MB/ })).toBeVisible();
    await expect(plan).toContainText('Nothing is downloaded until you press the button.');
    expect(hub.bytesSent - before).toBeLessThan(1_000_000);
  });

  await test.step('a small one is loaded at once, and each part can be given a precision meanwhile', async () => {
    hub.fault = ({ file, range }) =>
      file === LARGE && range && range[1] - range[0] > 2 ** 20 ? { kind: 'slow', ms: 60_000 } : undefined;
    await load('some/toy');
    await loading.getByRole('button', { name: 'Change precision' }).click();
    await expect(plan.getByRole('radio', { name: /^f32/ })).toBeChecked();
    await plan.getByText('Choose for each part').click();
    await plan.getByLabel('language model').selectOption('q4');
    await plan.getByLabel('embedding and head').selectOption('q8');
    await plan.getByLabel('vision encoder').selectOption('q8');
    await plan.getByLabel('video resampler').selectOption('f16');
    await expect(plan).toContainText('language 4-bit, embedding 8-bit, vision 8-bit, resampler f16');
    await expect(plan.getByRole('radio', { name: /^Your choice, / })).toBeChecked();
  });

  await test.step('faults that pass are not seen; a load can be stopped, and what came is kept', async () => {
    hub.fault = faults;
    hub.requests.length = 0;
    await plan.getByRole('button', { name: /^Download 7/ }).click();
    await expect(loading).toContainText(/4\.\d+ MB of 7\.\d+ MB/, { timeout: 90_000 });
    await expect(loading).toContainText('Toy model answers until it is there.');
    // No other page of this browser can have it meanwhile.
    const tab = await page.context().newPage();
    await tab.goto('./models/toy/config.json');
    const held = () =>
      tab.evaluate(async () => (await navigator.locks.query()).held?.map(({ name }) => name));
    await expect.poll(held).toEqual([expect.stringMatching(/^model [0-9a-f]{24}$/)]);
    await loading.getByRole('button', { name: 'Stop' }).click();
    await expect(error).toContainText('Loading was stopped.');
    await expect.poll(held).toEqual([]);
    await tab.close();
    await expect(kept).toHaveAttribute('data-complete', 'false');
    await expect(kept).toContainText(/stopped at .* (kB|MB), language 4-bit/);
    // So is what came before in the other precision, until it is deleted.
    const other = rows.filter({ hasText: 'f32' });
    await other.getByRole('button', { name: 'Delete toy' }).click();
    await other.getByRole('button', { name: 'Delete', exact: true }).click();
    await expect(other).toHaveCount(0);
  });

  await test.step('at the next visit it goes on from its row: what is there and whole is not fetched again', async () => {
    // As the real hub does: weights come from another host, by addresses that are given once.
    hub.fault = ({ file, signed }) =>
      file.endsWith('.safetensors') && signed === undefined ? { kind: 'redirect' } : undefined;
    await damageWeights(page);
    await page.reload();
    await chip.click();
    hub.requests.length = 0;
    await kept.getByRole('button', { name: /^toy/ }).click();
    await ready();
    const read = hub.requests
      .flatMap(({ file, range, signed }) => (file === LARGE && range && signed ? [range] : []))
      .filter(([first, last]) => last - first > 100_000);
    const [again, rest] = [
      read.filter(([first]) => first < READ_BYTES),
      read.filter(([first]) => first >= READ_BYTES),
    ];
    // The tensor that was damaged, and the read that did not come.
    expect(rest).toHaveLength(1);
    expect(again.map(([first, last]) => last - first < 1_200_000)).toEqual([true]);
  });

  await test.step('then it comes from disk alone, answers, and is deleted', async () => {
    hub.requests.length = 0;
    await page.reload();
    await ready();
    expect(hub.requests).toEqual([]);
    await page.getByTestId('gallery-item').first().click();
    await page.getByTestId('ask').click({ timeout: 60_000 });
    await expect(page.getByTestId('answer')).toContainText(/[A-E]/, { timeout: 60_000 });
    await chip.click();
    await expect(dialog.getByTestId('model-errors')).toContainText(
      'language model 4-bit; embedding and head 8-bit; vision encoder 8-bit; video resampler f16',
    );
    await dialog.getByRole('button', { name: 'Delete toy' }).click();
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await expect(kept).toHaveCount(0);
  });
});
