import type { AnswerState } from '../store/engine-state';
import type { AnswerContext } from './answer-context';
import { exportToken, TRACE_FORMAT, TRACE_VERSION, type TraceDocument } from './trace-document';

/** An answer, with all of its samples as they stand now, in the export format. */
export function makeDocument(
  answer: AnswerState,
  context: AnswerContext | undefined,
  created = new Date(),
): TraceDocument {
  const { question, label, settings, promptTokens, fork, group } = answer;
  return {
    format: TRACE_FORMAT,
    version: TRACE_VERSION,
    created: created.toISOString(),
    model: context?.model ?? { name: answer.model },
    ...(context?.adapter ? { adapter: context.adapter } : {}),
    video: context?.video ?? { name: answer.videoName },
    question,
    ...(label === undefined ? {} : { label }),
    settings,
    ...(promptTokens === undefined ? {} : { promptTokens }),
    ...(fork ? { fork: { position: fork.position, from: fork.from } } : {}),
    samples: answer.samples.map(({ reason, trace, stats, reward, tokens, count }) => ({
      ...(reason ? { reason } : {}),
      trace: trace ?? { phase: 'before', text: '', sentences: [], problems: [] },
      ...(stats ? { stats } : {}),
      ...(reward ? { reward } : {}),
      tokens: tokens.slice(0, count).map((token) => exportToken(token)),
    })),
    ...(group && answer.samples.length > 1 ? { group } : {}),
  };
}

/** A file name for an export: of the video's stem and the answer's number, without what file systems dislike. */
export function exportName(answer: AnswerState, extension: 'json' | 'md'): string {
  const stem = answer.videoName
    .replace(/\.[^.]*$/, '')
    .replace(/[^\p{L}\p{N}_-]+/gu, '-')
    .slice(0, 60);
  return `${stem || 'video'}-answer-${answer.id}.${extension}`;
}
