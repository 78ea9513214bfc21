import { WEIGHT_TYPES } from '../bench/linear-weights';
import { type BackendChoice, BackendChoices } from '../blocks/backend-choices';
import type { Gpu } from '../gpu/device';
import { GpuError } from '../gpu/errors';
import type { LoadModelOptions } from '../model/tiny-llava';
import { modelChecks } from '../self-test/model-checks';
import { AdapterMemory } from './adapter-memory';
import type { BenchEvent, BenchRequest } from './bench-protocol';
import { KernelTests } from './kernel-tests';
import type { Session } from './session';

/** What the engine does for the desk. */
export interface DeskEngine {
  post: (event: BenchEvent) => void;
  /** Runs a job on the loaded model's GPU when those before it are done; what goes wrong is posted. */
  enqueue: (id: number, signal: AbortSignal, job: (session: Session) => Promise<void>) => void;
}

/** Whether the kernels are right, which of them are fast: at start-up, and when the page asks. */
export class KernelDesk {
  private measuring: AbortController | undefined;
  /** The checks of the model that is loaded, by its GPU. */
  private readonly tests = new WeakMap<Gpu, KernelTests>();

  constructor(private readonly engine: DeskEngine) {}

  /** Takes a request; what it leads to is posted as events. */
  handle(request: BenchRequest): void {
    const { signal } = (this.measuring =
      request.type === 'bench' || !this.measuring ? new AbortController() : this.measuring);
    switch (request.type) {
      case 'self-test':
        this.engine.enqueue(request.id, signal, async ({ gpu }) => this.tests.get(gpu)?.again());
        break;
      case 'bench':
        this.engine.enqueue(request.id, signal, ({ gpu }) => this.measure(request, gpu, signal));
        break;
      case 'stop-bench':
        this.interrupt();
    }
  }

  /** Ends a measurement before its next case. */
  interrupt(): void {
    this.measuring?.abort();
  }

  /**
   * What a load takes so that kernels with wrong values are switched off before the model's are compiled, and each
   * block's backend is the faster one: tested and measured once for an adapter.
   */
  async loadOptions(gpu: Gpu): Promise<Pick<LoadModelOptions, 'choices' | 'beforeCompile'>> {
    const memory = await AdapterMemory.open(gpu.adapter);
    void gpu.lost.then(() => memory.close());
    const post = (choices: readonly BackendChoice[]) =>
      this.engine.post({ type: 'backends', choices: [...choices] });
    const choices: BackendChoices = new BackendChoices(storedChoices(memory.get('backends')), (list) => {
      memory.set('backends', choices.measurements());
      post(list);
    });
    const tests = new KernelTests(gpu, memory, (report) => this.engine.post({ type: 'self-test', report }));
    this.tests.set(gpu, tests);
    const beforeCompile: LoadModelOptions['beforeCompile'] = (config, dtypes, language) =>
      tests.test(
        modelChecks(
          config,
          WEIGHT_TYPES.filter((type) => dtypes.has(type)),
          language,
        ),
      );
    return { choices, beforeCompile };
  }

  /**
   * Tests what training compiles beside the kernels of answers, before a model is trained for the first time.
   * @throws GpuError `wrong-values` where something is wrong and there is nothing to run instead.
   */
  async testTraining({ gpu, model }: Session): Promise<void> {
    if (gpu.off.has('dense')) {
      throw new GpuError(
        'wrong-values',
        'Our dense kernels give wrong values on this GPU, and training needs them: ONNX Runtime has no gradients. ' +
          'Answers work. To train, update the browser or the driver, or try another GPU.',
      );
    }
    const dtypes = new Set(
      model.language.base.layers.flatMap(({ weights }) => Object.values(weights).map(({ dtype }) => dtype)),
    );
    const { trainingChecks } = await import('../self-test/training-checks');
    const weights = WEIGHT_TYPES.filter((type) => dtypes.has(type));
    await this.tests.get(gpu)?.test(trainingChecks(model.config, weights));
  }

  private async measure(
    { id, shapes }: Extract<BenchRequest, { type: 'bench' }>,
    gpu: Gpu,
    signal: AbortSignal,
  ): Promise<void> {
    const { post } = this.engine;
    const suite = (share: number) => ({
      shapes,
      signal,
      onStart: (label: string, done: number, total: number) =>
        // Both suites are one bar.
        post({ type: 'bench-progress', id, label, done: (share + done / total) / 2, total: 1 }),
      onCase: (result: Extract<BenchEvent, { type: 'bench-case' }>['result']) =>
        post({ type: 'bench-case', id, result }),
    });
    try {
      // What measures is fetched when it is asked for.
      const { benchAttention, benchLinear } = await import('../bench/all-kernels');
      const attention = await benchAttention(gpu, {
        ...suite(0),
        onDevice: (device) => post({ type: 'bench-device', id, device }),
      });
      const linear = await benchLinear(gpu, { ...suite(1), ceilings: attention.device });
      post({ type: 'bench-done', id, targets: [...attention.targets, ...linear.targets], stopped: false });
    } catch (cause) {
      if (!signal.aborted || cause !== signal.reason) throw cause;
      post({ type: 'bench-done', id, targets: [], stopped: true });
    }
  }
}

function storedChoices(value: unknown): BackendChoice[] {
  return Array.isArray(value) ? (value as BackendChoice[]) : [];
}
