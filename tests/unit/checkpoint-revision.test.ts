import { expect, it } from 'vitest';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { checkpointRevision } from '../../src/weights/checkpoint-revision';
import { fileStore } from '../../src/weights/file-store';
import { writeSafetensors } from '../support/safetensors-writer';

const COUNT = 4096;

async function revision(weights: Float32Array, config = '{"model_type": "some"}'): Promise<string> {
  const blob = writeSafetensors({ first: new Float32Array(3), weights, last: [1, 2] });
  // As files of one archive: the same size, the same time.
  const files = [new File([config], 'config.json'), new File([blob], 'model.safetensors')].map(
    (file) => new File([file], file.name, { lastModified: 1 }),
  );
  return checkpointRevision(await openCheckpoint(fileStore(files)));
}

it('tells fine-tunes apart whose files have the same size and time', async () => {
  const base = new Float32Array(COUNT).fill(0.5);
  const tuned = base.map((x) => x + 1e-3);
  expect(await revision(base)).toMatch(/^[0-9a-f]{32}$/);
  expect(await revision(base)).toBe(await revision(base.slice()));
  expect(await revision(tuned)).not.toBe(await revision(base));
  expect(await revision(base, '{"model_type": "same"}')).not.toBe(await revision(base));
});
