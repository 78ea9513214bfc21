import type { Gpu } from '../gpu/device';
import type { SelfTestReport } from '../self-test/report';
import { type Check, selfTest } from '../self-test/self-test';
import type { AdapterMemory } from './adapter-memory';

/**
 * The self-tests of one device: those of answers at start-up, those of training before its first run. Each is remembered
 * for the adapter; the page hears of all together.
 */
export class KernelTests {
  private readonly suites = new Map<string, { checks: readonly Check[]; report: SelfTestReport }>();

  constructor(
    private readonly gpu: Gpu,
    private readonly memory: Pick<AdapterMemory, 'get' | 'set'>,
    private readonly tell: (report: SelfTestReport) => void,
  ) {}

  /**
   * Runs checks, unless they ran on this device or an earlier visit did; kernels that are wrong are off from then on.
   * @throws GpuError `wrong-values` where there are no others.
   */
  async test(checks: readonly Check[]): Promise<void> {
    // What is remembered holds for the same kernels alone: their shapes are in the checks' names.
    const name = `self-test ${checks.map((check) => check.name).join(', ')}`;
    if (this.suites.has(name)) return;
    const known = this.memory.get(name);
    if (isReport(known)) {
      for (const { kind } of known.off) this.gpu.off.add(kind);
      this.suites.set(name, { checks, report: { ...known, remembered: true } });
    } else await this.run(name, checks);
    this.tell(this.report());
  }

  /** Runs all checks afresh that were asked for before. @throws as `test`. */
  async again(): Promise<void> {
    for (const [name, { checks }] of this.suites) await this.run(name, checks);
    if (this.suites.size > 0) this.tell(this.report());
  }

  private async run(name: string, checks: readonly Check[]): Promise<void> {
    const report = await selfTest(this.gpu, checks);
    const known = this.memory.get(name);
    this.memory.set(name, { ...report, off: [...(isReport(known) ? known.off : []), ...report.off] });
    this.suites.set(name, { checks, report });
  }

  private report(): SelfTestReport {
    const reports = [...this.suites.values()].map(({ report }) => report);
    return {
      checks: reports.flatMap(({ checks }) => checks),
      // A kind that both suites found wrong is told once.
      off: [...new Map(reports.flatMap(({ off }) => off).map((entry) => [entry.kind, entry])).values()],
      ms: reports.reduce((sum, { ms }) => sum + ms, 0),
      remembered: reports.every(({ remembered }) => remembered),
    };
  }
}

function isReport(value: unknown): value is SelfTestReport {
  const report = value as Partial<SelfTestReport> | undefined;
  return Array.isArray(report?.checks) && Array.isArray(report.off);
}
