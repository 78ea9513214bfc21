import { useMemo } from 'react';
import type { AnswerState } from '../store/engine-state';
import { traceProblems } from './answer-facts';
import { FollowingScroll } from './following-scroll';
import { sentenceKey, sentenceOwners, sharedParts } from './group-differences';
import { GroupLine } from './group-line';
import { layoutTrace, rangeText } from './trace-layout';

/** An answer's thought in its column: sentence by sentence, in the differences layout with what it shares dimmed. */
export function GroupTrace({
  answer,
  index,
  differences,
  current,
}: {
  answer: AnswerState;
  index: number;
  differences: boolean;
  /** The pinned token, where it is in this answer; else -1. */
  current: number;
}) {
  const sample = answer.samples[index]!;
  const layout = useMemo(() => layoutTrace(sample), [sample]);
  const samples = differences ? answer.samples : undefined;
  const parts = useMemo(() => samples && sharedParts(samples, index), [samples, index]);
  const owners = useMemo(() => samples && sentenceOwners(samples), [samples]);
  const alone = parts?.findLast((part) => part.with.length > 0)?.end ?? 0;
  const lines = layout.lines.filter(({ kind }) => kind !== 'tag');
  const live = sample.status === 'streaming';
  const named = new Set(['']);
  const problems = traceProblems({ answer, sample });
  return (
    <FollowingScroll
      count={sample.count}
      live={live}
      resetKey={`${answer.id} ${index}`}
      label={`Thought of answer ${index + 1}`}
    >
      {lines.map((line) => {
        const key = parts && line.start >= alone ? sentenceKey(rangeText(sample.tokens, line)) : '';
        // Said once where an answer repeats itself.
        const twins = named.has(key) ? [] : (owners?.get(key) ?? []).filter((other) => other !== index);
        named.add(key);
        return (
          <GroupLine
            key={line.start}
            answerKey={`${answer.id} ${index}`}
            tokens={sample.tokens}
            line={line}
            current={current >= line.start && current < line.end}
            writing={live && !layout.answer && line === lines.at(-1)}
            parts={parts}
            twins={twins.length > 0 ? twins.map((other) => other + 1).join(', ') : undefined}
            total={answer.samples.length}
          />
        );
      })}
      {sample.status === 'prefill' && (
        <p className="t3 sm">{answer.status === 'prefill' ? 'Waiting for the prefix.' : 'Waiting.'}</p>
      )}
      {problems.map((problem) => (
        <p key={problem} className="t3 sm group-problem">
          {problem}
        </p>
      ))}
    </FollowingScroll>
  );
}
