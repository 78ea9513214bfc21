import type { ReactNode } from 'react';
import { splitDuration } from '../shared/format';
import type { Shown } from '../store/app-services';

/** Time to first token, speed, and the two token counts. A dash where a number is not known yet. */
export function AnswerStatsRow({ answer, sample }: Shown) {
  const { stats } = sample;
  const first = stats && sample.count > 0 ? splitDuration(stats.timeToFirstTokenMs) : undefined;
  const speed = stats && stats.tokensPerSecond > 0 ? stats.tokensPerSecond : undefined;
  return (
    <dl className="stats" data-testid="stats">
      <Stat label="time to first token" unit={first?.unit}>
        {first?.value}
      </Stat>
      <Stat label="decoding" unit={speed ? 'tok/s' : undefined}>
        {speed?.toFixed(speed < 10 ? 1 : 0)}
      </Stat>
      <Stat label="new tokens">{stats ? stats.newTokens : undefined}</Stat>
      <Stat label="prompt tokens">{stats?.promptTokens ?? answer.promptTokens}</Stat>
    </dl>
  );
}

function Stat({ label, unit, children }: { label: string; unit?: string | undefined; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        {children ?? '–'}
        {unit && <small> {unit}</small>}
      </dd>
    </div>
  );
}
