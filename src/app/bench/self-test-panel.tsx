import type { KernelKind, SelfTestReport } from '../../worker/bench-protocol';
import { Icon } from '../shared/icon';
import { formatError, formatSizes } from './bench-facts';

const KINDS: Record<KernelKind, string> = {
  subgroups: 'Kernels with subgroup operations are switched off; the same without them run instead.',
  tiles:
    'Kernels with tiles in workgroup memory are switched off; those that keep theirs in registers run instead.',
  dense: 'Our dense kernels are switched off; ONNX Runtime runs instead.',
  halves: 'Storing activations in 16 bits is switched off; they take 32 bits instead.',
};

/** Which kernels gave right values on this adapter, and which do not run because they did not. */
export function SelfTestPanel({ report, testing }: { report: SelfTestReport | undefined; testing: boolean }) {
  const passed = report?.checks.filter((check) => check.ok).length ?? 0;
  return (
    <section className="bench-section" aria-labelledby="self-test-title" data-testid="self-test">
      <div className="row">
        <h3 id="self-test-title">Self-test</h3>
        <span className="sp" role="status">
          {testing ? (
            <span className="chip n">testing</span>
          ) : (
            report && (
              <span className={`chip ${report.off.length > 0 ? 'warn' : 'ok'}`}>
                {report.off.length === 0 && <Icon name="check" />}
                {report.off.length > 0
                  ? `${report.off.length} switched off`
                  : `${passed} of ${report.checks.length} passed`}
              </span>
            )
          )}
        </span>
      </div>
      {report?.off.map(({ kind, check }) => (
        <div key={kind} className="message warn self-test-off">
          <span className="message-icon">
            <Icon name="info" />
          </span>
          <strong>
            {formatSizes(check.name)}: off by {formatError(check.max_error)}
          </strong>
          <p>{KINDS[kind]}</p>
        </div>
      ))}
      {report ? (
        <>
          <p className="row t3 xs">
            <span>compared with the CPU reference</span>
            <span className="sp">max error</span>
          </p>
          <ul className="checks">
            {report.checks.map(({ name, variant, max_error, ok }) => (
              <li key={name} title={`Runs: ${variant}`}>
                <span className={ok ? 'ok' : 'err'}>
                  <Icon name={ok ? 'check' : 'x'} />
                  <span className="hidden">{ok ? 'passed' : 'failed'}</span>
                </span>
                <span>{formatSizes(name)}</span>
                <span className="mono t2">{formatError(max_error)}</span>
              </li>
            ))}
          </ul>
          <p className="t3 xs">
            {report.remembered
              ? 'From an earlier visit, with the same kernels on the same adapter.'
              : `Took ${report.ms.toFixed(0)} ms beyond compiling.`}
          </p>
        </>
      ) : (
        <p className="t3 sm">Runs when a model is loaded.</p>
      )}
    </section>
  );
}
