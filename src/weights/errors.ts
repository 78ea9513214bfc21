/** A checkpoint that cannot be used. `message` is a sentence naming the file and, where one is meant, the tensor. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
}
