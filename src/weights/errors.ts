/** A checkpoint that cannot be used. `message` is a sentence naming the file and, where one is meant, the tensor. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
}

/** Weights that no second try makes right: what was loaded beside them is of no use. */
export class BadWeightsError extends CheckpointError {}

/** What was kept of a checkpoint is not what was written. It can be had again from where it came from. */
export class DamagedKeepError extends CheckpointError {}
