import type { CaseFacts } from './bench-facts';
import { formatRate, formatRatio, formatSizes, formatTime } from './bench-facts';
import { Mark } from './mark';

const HEADS = ['kernel', 'shape', 'time', 'of copy bandwidth', 'of f32 arithmetic', 'bound by'] as const;

/** All cases with bars against both ceilings; the bar of the ceiling that binds is solid, the other faded. */
export function CaseTable({ facts }: { facts: readonly CaseFacts[] }) {
  const groups = [...new Set(facts.map((one) => one.group))];
  return (
    <table className="cases" data-testid="bench-cases">
      <thead>
        <tr>
          {HEADS.map((head) => (
            <th key={head} scope="col" className={head === 'time' ? 'r' : ''}>
              {head}
            </th>
          ))}
          <th
            scope="col"
            className="r"
            title="Time of ONNX Runtime's operator by ours: above 1, ours is faster"
          >
            × runtime
          </th>
          <th scope="col" className="r" title="Time with the prefix copied to every answer, by ours">
            × copied
          </th>
          <th scope="col" className="r" title="Time of plain attention with its scores in memory, by ours">
            × plain
          </th>
        </tr>
      </thead>
      {groups.map((group) => (
        <tbody key={group}>
          <tr className="case-group">
            <th colSpan={9} scope="rowgroup">
              {group}
            </th>
          </tr>
          {facts.filter((one) => one.group === group).map(caseRow)}
        </tbody>
      ))}
    </table>
  );
}

function caseRow({ key, name, kind, bandwidthShare, arithmeticShare, bound, found }: CaseFacts) {
  const wrong = found.runtime_values_ok === false;
  return (
    <tr key={key}>
      <td>
        <span className="row marked">
          <Mark kind={kind} />
          {name}
        </span>
      </td>
      <td className="mono t2" title={found.shape}>
        {shortShape(found.shape)}
      </td>
      <td className="r med">{formatTime(found.ms)}</td>
      <td>
        <Bar
          share={bandwidthShare}
          tone="memory"
          binding={bound === 'memory'}
          text={formatRate(found.gbps, 'B')}
        />
      </td>
      <td>
        <Bar
          share={arithmeticShare}
          tone="arithmetic"
          binding={bound === 'arithmetic'}
          text={formatRate(found.gflops, 'FLOP')}
        />
      </td>
      <td className="t2">
        {bound}, {Math.round(100 * found.roofline_share)} %
      </td>
      <td className="r">
        {formatRatio(found.vs_runtime)}
        {wrong && (
          <span className="chip warn" title="ONNX Runtime's operator gives wrong values on this adapter">
            wrong
          </span>
        )}
      </td>
      <td className="r">{formatRatio(found.vs_copied_prefix)}</td>
      <td className="r">{formatRatio(found.vs_unfused)}</td>
    </tr>
  );
}

/** "P=700 G=8 R=256 16/2 × 128": query and KV heads, and their size. */
function shortShape(shape: string): string {
  return formatSizes(shape).replace(/Hq=(\d+) Hkv=(\d+) D=(\d+)/, '$1/$2 × $3');
}

function Bar(props: { share: number; tone: 'memory' | 'arithmetic'; binding: boolean; text: string }) {
  const { share, tone, binding, text } = props;
  return (
    <span className={`ceiling-bar ${tone} ${binding ? 'binding' : ''}`}>
      <i aria-hidden="true">
        <b style={{ width: `${Math.min(100, Math.max(0.6, 100 * share))}%` }} />
      </i>
      <span>{text}</span>
    </span>
  );
}
