import { Qwen2Tokenizer } from '@huggingface/transformers';
import { env } from 'onnxruntime-web/webgpu';

// On import, Transformers.js points the runtime that it shares with us at a CDN. This page fetches nothing from
// elsewhere: without that setting the runtime finds its files next to its own module.
const paths = env.wasm.wasmPaths;
if (
  typeof paths === 'object' &&
  [paths.mjs, paths.wasm].some((path) => /^https?:\/\/cdn\./.test(String(path)))
) {
  delete env.wasm.wasmPaths;
}

export { Qwen2Tokenizer };
