import { openGpu } from '../gpu/device';
import { reopenGpu } from '../gpu/reopen';
import type { KernelDesk } from './kernel-desk';
import type { PreparedLoad } from './model-desk';
import type { EngineEvent, EngineRequest, FileProgress } from './protocol';
import { loadSession, type Session } from './session';

type LoadRequest = Extract<EngineRequest, { type: 'load-model' }>;

/** A session, and the request that it came from. */
export interface Loaded extends Session {
  request: LoadRequest;
}

/** Tells how far a load is; with `weights`, the numbers are bytes of them, and `kept` those that were kept. */
export type LoadProgress = (
  label: string,
  done: number,
  total: number,
  weights?: { bytes: true; kept?: true; files?: readonly FileProgress[] },
) => void;

/** What opening a session takes of the engine. */
export interface SessionPlace {
  post: (event: EngineEvent) => void;
  kernels: KernelDesk;
  /** The GPU was lost: it is waited for. */
  lost: boolean;
  progress: LoadProgress;
  /** Awaited once the weights are there, before kernels are compiled and measured. */
  begin: () => Promise<unknown>;
}

/** Opens the GPU and loads what was prepared. @throws as `loadSession`, `openGpu` and `reopenGpu`. */
export async function openSession(
  request: LoadRequest,
  { source, options }: PreparedLoad,
  { post, kernels, lost, progress, begin }: SessionPlace,
): Promise<Loaded> {
  progress(lost ? 'Waiting for the GPU' : 'Opening the GPU', 0, 0);
  const gpu = await (lost ? reopenGpu() : openGpu());
  post({ type: 'gpu', adapter: gpu.adapter, f16: gpu.f16, subgroups: gpu.subgroups });
  progress('Reading its config, tokenizer and headers', 0, 0);
  const kernelOptions = await kernels.loadOptions(gpu);
  const session = await loadSession(gpu, source, {
    ...options,
    ...kernelOptions,
    beforeCompile: async (...model) => {
      if (request.beside) progress('Waiting until the GPU is free', 0, 0);
      await begin();
      progress('Compiling shaders', 0, 0);
      await kernelOptions.beforeCompile?.(...model);
    },
    ...(request.backend ? { backend: request.backend } : {}),
    onProgress(at) {
      if (at.stage === 'compile') progress('Compiling shaders', at.done, at.total);
      else if (at.kept) progress('Reading what is kept', at.done, at.total, { bytes: true, kept: true });
      else {
        const files = at.files ? { files: at.files } : {};
        progress('Loading the weights', at.done, at.total, { bytes: true, ...files });
      }
    },
  });
  return { ...session, request };
}
