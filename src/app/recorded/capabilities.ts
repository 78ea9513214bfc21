import type { EngineError } from '../../worker/protocol';

/** One thing that the page needs of the browser. */
export interface Capability {
  code: 'insecure-context' | 'no-webgpu' | 'no-adapter' | 'no-webcodecs';
  name: string;
  /** Undefined where it was not looked at, because what it rests on is missing. */
  ok: boolean | undefined;
  /** What this browser says. */
  found: string;
}

/** What the page needs and this browser has, in the order in which one rests on another. */
export async function checkCapabilities(): Promise<Capability[]> {
  const secure = globalThis.isSecureContext;
  const gpu = navigator.gpu as GPU | undefined;
  const adapter = gpu ? await gpu.requestAdapter?.().catch(() => null) : undefined;
  const decodes = 'VideoDecoder' in globalThis;
  return [
    {
      code: 'insecure-context',
      name: 'A secure page',
      ok: secure,
      found: secure
        ? 'https, or this computer'
        : 'The page came over plain http. Browsers give WebGPU and WebCodecs to https and localhost alone.',
    },
    {
      code: 'no-webgpu',
      name: 'WebGPU',
      ok: gpu !== undefined,
      found: gpu ? 'offered' : 'This browser does not offer it.',
    },
    {
      code: 'no-adapter',
      name: 'A GPU adapter',
      ok: gpu ? Boolean(adapter) : undefined,
      found: !gpu
        ? 'not looked at: WebGPU is missing'
        : adapter
          ? [adapter.info?.vendor, adapter.info?.architecture].filter(Boolean).join(' ') || 'offered'
          : 'WebGPU is there, but it offers no adapter: hardware acceleration may be off, or the driver blocked.',
    },
    {
      code: 'no-webcodecs',
      name: 'WebCodecs',
      ok: decodes,
      found: decodes ? 'offered' : 'This browser cannot decode videos for the page.',
    },
  ];
}

/** The first thing that is missing and can be told at once, as the page's message; undefined where none is. */
export function missingCapability(): EngineError | undefined {
  const keeps = 'You can still look at recorded answers.';
  if (!globalThis.isSecureContext) {
    return {
      scope: 'gpu',
      code: 'insecure-context',
      title: 'This page came over plain http.',
      message: `Browsers give WebGPU to https pages and to localhost alone. Open the same page over https. ${keeps}`,
    };
  }
  if (!navigator.gpu) {
    return {
      scope: 'gpu',
      code: 'no-webgpu',
      title: 'This browser has no WebGPU.',
      message: `The playground runs the model on your GPU through WebGPU, and this browser does not offer it. Recent desktop Chrome, Edge and Safari do. ${keeps}`,
    };
  }
  if (!('VideoDecoder' in globalThis)) {
    return {
      scope: 'gpu',
      code: 'no-webcodecs',
      title: 'This browser has no WebCodecs.',
      message: `The playground decodes videos through WebCodecs, and this browser does not offer it. Recent Chrome, Edge, Safari and Firefox do. ${keeps}`,
    };
  }
  return undefined;
}
