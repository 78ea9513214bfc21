import { type BlockBackend, BlockRuntimes } from '../../blocks/block-runtimes';
import type { Gpu } from '../../gpu/device';
import { parseConfig } from '../../model/config';
import { LanguageModel } from '../../model/language-model';
import { PROCESSOR_FILE, parseProcessorConfig } from '../../model/processor-config';
import { Resampler } from '../../model/resampler';
import { expectedTensors } from '../../model/tensor-names';
import { Tokenizer } from '../../model/tokenizer';
import { VisionTower } from '../../model/vision-tower';
import { type Checkpoint, openCheckpoint, readJson } from '../../weights/checkpoint';
import { type FileStore, subStore } from '../../weights/file-store';
import { loadWeights } from '../../weights/load-weights';
import { verifyAttention } from './attention-stages';
import { verifyGrpo } from './grpo-stages';
import { verifyLanguage } from './language-stages';
import { verifyPolicy } from './policy-stages';
import { verifyFrameIndices, verifyPreprocessing } from './preprocessing-stages';
import { type Reference, readReference } from './reference';
import { StageList, type StageResult, type VerifyReport } from './report';
import { verifyText } from './text-stages';
import { verifyVision } from './vision-stages';

/** What to verify, and where the stages are shown as they come. */
export interface VerifyInput {
  gpu: Gpu;
  checkpoint: FileStore;
  reference: FileStore;
  /** A weight file other than the folder's own. */
  weights?: string;
  /** Which dense backend runs. Default 'auto', as on the page. */
  backend?: BlockBackend;
  onStage?: (stage: StageResult) => void;
  onNote?: (note: string) => void;
}

/**
 * Runs the port against a directory of recorded values, stage by stage: everything is read from config.json and the
 * tensors' shapes. Stages whose values are not there are left out, with a note.
 * @throws CheckpointError where checkpoint or reference cannot be read.
 */
export async function runVerify(input: VerifyInput): Promise<VerifyReport> {
  const { gpu } = input;
  const list = new StageList(input.onStage, input.onNote);
  const checkpoint = await openCheckpoint(
    input.checkpoint,
    input.weights === undefined ? {} : { weights: input.weights },
  );
  const config = parseConfig(checkpoint.config);
  const reference = await readReference(input.reference);
  const { vision, attention, attentionCases } = reference;
  verifyFrameIndices(list, reference.frameIndices, vision);
  if (vision) {
    const size = config.vision_config.image_size;
    const processor =
      (await readJson(checkpoint.store, PROCESSOR_FILE)) ??
      (await readJson(subStore(reference.store, 'checkpoint'), PROCESSOR_FILE));
    await verifyPreprocessing(list, gpu, vision, size, parseProcessorConfig(processor, size));
  } else list.note('There is no vision.safetensors: preprocessing, vision and connector are skipped.');
  if (reference.text) verifyText(list, await findTokenizer(list, checkpoint, reference), reference.text);
  else list.note('There is no text.json: text is skipped.');
  if (vision?.has('pixel_values')) await verifyModel(list, gpu, checkpoint, reference, input.backend);
  else if (reference.lm) list.note('The lm stages are skipped: there are no pixel_values to start from.');
  if (attention && attentionCases) await verifyAttention(list, gpu, attentionCases, attention);
  else list.note('There is no attention.safetensors with attention.json: attention is skipped.');
  if (reference.grpo && reference.grpoMeta) verifyGrpo(list, reference.grpoMeta, reference.grpo);
  else list.note('There is no grpo.safetensors with grpo.json: grpo and adapter are skipped.');
  return list.report();
}

/** The tower, the resampler and the language model, each on what the one before it gave. */
async function verifyModel(
  list: StageList,
  gpu: Gpu,
  checkpoint: Checkpoint,
  { store, vision, lm, grpo, grpoMeta: meta }: Reference,
  backend: BlockBackend = 'auto',
): Promise<void> {
  const config = parseConfig(checkpoint.config);
  const expected = expectedTensors(config);
  const stored = [...expected.used.keys()].map((name) => checkpoint.tensors.get(name)?.dtype);
  const rounded = stored.includes('BF16') && lm?.has('bf16_weights.visual_tokens') ? lm : undefined;
  const weights = await loadWeights(gpu, checkpoint, expected);
  const runtime = await BlockRuntimes.create(gpu, { backend });
  list.note(`Dense blocks run in: ${runtime.label}.`);
  const tower = await VisionTower.create(gpu, runtime, config, weights);
  const resampler = await Resampler.create(gpu, runtime, config, weights);
  const model = await LanguageModel.create(gpu, runtime, config, weights);
  try {
    const { group } = config.connector;
    const seeing = { tower, resampler, groups: group };
    const { visual, reversed } = await verifyVision(list, gpu, seeing, vision!, rounded);
    if (lm) await verifyLanguage(list, gpu, { model, visual, reversed, rounded: !!rounded }, lm);
    else list.note('There is no lm.safetensors: lm is skipped.');
    if (grpo && meta && rounded)
      list.note(
        'The grpo stages of the model are skipped: they were recorded with the weights before rounding.',
      );
    else if (grpo && meta) await verifyPolicy(list, { gpu, model, visual, meta, grpo }, store);
    visual.buffer.destroy();
    reversed.buffer.destroy();
  } finally {
    await tower.destroy();
    await resampler.destroy();
    await model.destroy();
    await runtime.destroy();
    weights.destroy();
  }
}

async function findTokenizer(
  list: StageList,
  checkpoint: Checkpoint,
  reference: Reference,
): Promise<Tokenizer> {
  for (const name of ['tokenizer.json', 'vocab.json'])
    if (await checkpoint.store.open(name)) return Tokenizer.load(checkpoint.store);
  const other = subStore(reference.store, 'checkpoint');
  list.note(`${checkpoint.name} has no tokenizer: that of ${other.name} is used.`);
  return Tokenizer.load(other);
}
