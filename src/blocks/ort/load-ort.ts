import { OrtError } from './ort-error';

/** ONNX Runtime Web's API, the same for both of its builds. */
export type Ort = typeof import('onnxruntime-web/webgpu');

let loading: Promise<Ort> | undefined;

/**
 * Loads ONNX Runtime with its WebGPU provider, at the first call alone: where our own kernels run everything, nothing
 * of it is fetched. Of its two builds one is fetched: `jspi` (16.8 MB of wasm) where the browser can suspend wasm by
 * itself (JavaScript Promise Integration: Chromium from 137 on), else `asyncify` (26.8 MB), which runs everywhere.
 * The wasm file lies beside its module and is fetched with the first session.
 * @throws OrtError where its module cannot be fetched.
 */
export function loadOrt(): Promise<Ort> {
  loading ??= (
    'Suspending' in WebAssembly ? import('onnxruntime-web/jspi') : import('onnxruntime-web/webgpu')
  )
    .then(configure)
    .catch((cause: unknown) => {
      loading = undefined;
      throw new OrtError(
        `ONNX Runtime could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
    });
  return loading;
}

function configure(ort: Ort): Ort {
  // More threads would need a page that is isolated from other origins, and the arithmetic is the GPU's.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  // Transformers.js, where it shares this module with us, has pointed it at a CDN.
  delete ort.env.wasm.wasmPaths;
  return ort;
}
