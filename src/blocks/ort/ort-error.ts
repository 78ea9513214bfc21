/** ONNX Runtime cannot be loaded, refuses a graph or fails at a run; `message` says which. */
export class OrtError extends Error {
  override name = 'OrtError';
}
