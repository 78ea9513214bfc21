import { WEIGHT_TYPES } from '../bench/linear-weights';
import { type BackendChoice, BackendChoices } from '../blocks/backend-choices';
import type { Gpu } from '../gpu/device';
import type { TinyLlavaConfig } from '../model/config';
import type { LoadModelOptions } from '../model/tiny-llava';
import { modelChecks } from '../self-test/model-checks';
import type { SelfTestReport } from '../self-test/report';
import { selfTest } from '../self-test/self-test';
import { AdapterMemory } from './adapter-memory';
import type { BenchEvent, BenchRequest } from './bench-protocol';
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
  private readonly tests = new WeakMap<Gpu, () => Promise<SelfTestReport>>();

  constructor(private readonly engine: DeskEngine) {}

  /** Takes a request; what it leads to is posted as events. */
  handle(request: BenchRequest): void {
    const { signal } = (this.measuring =
      request.type === 'bench' || !this.measuring ? new AbortController() : this.measuring);
    switch (request.type) {
      case 'self-test':
        this.engine.enqueue(request.id, signal, async ({ gpu }) => {
          const report = await this.tests.get(gpu)?.();
          if (report) this.engine.post({ type: 'self-test', report });
        });
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
    const beforeCompile = async (config: TinyLlavaConfig, dtypes: ReadonlySet<string>) => {
      const weights = WEIGHT_TYPES.filter((type) => dtypes.has(type));
      const checks = modelChecks(config, weights);
      // What is remembered holds for the same kernels alone: their shapes are in the checks' names.
      const name = `self-test ${checks.map((check) => check.name).join(', ')}`;
      const run = async () => {
        const report = await selfTest(gpu, checks);
        memory.set(name, { ...report, off: [...knownOff(memory.get(name)), ...report.off] });
        return report;
      };
      this.tests.set(gpu, run);
      const known = memory.get(name);
      if (isReport(known)) for (const { kind } of known.off) gpu.off.add(kind);
      const report = isReport(known) ? { ...known, remembered: true } : await run();
      this.engine.post({ type: 'self-test', report });
    };
    return { choices, beforeCompile };
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

function knownOff(value: unknown): SelfTestReport['off'] {
  return isReport(value) ? value.off : [];
}

function isReport(value: unknown): value is SelfTestReport {
  const report = value as Partial<SelfTestReport> | undefined;
  return Array.isArray(report?.checks) && Array.isArray(report.off);
}

function storedChoices(value: unknown): BackendChoice[] {
  return Array.isArray(value) ? (value as BackendChoice[]) : [];
}
