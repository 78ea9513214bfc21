import { type AnswerStats, type EngineEvent, ThinkParser } from '../../worker/protocol';
import { importToken, type TraceDocument } from '../export/trace-document';

/** Recordings on a fast GPU are slowed to this many tokens a second, which can still be read along. */
const MOST_TOKENS_PER_SECOND = 60;

/**
 * Posts a recording's events as the engine posted them: the answers grow together, at the recorded speed. The numbers
 * are the recorded ones. Ends early, with what was posted so far, when the signal is aborted.
 */
export async function playRecording(
  document: TraceDocument,
  id: number,
  signal: AbortSignal,
  post: (event: EngineEvent) => void,
): Promise<void> {
  const players = document.samples.map((recorded, sample) => ({
    sample,
    recorded,
    parser: new ThinkParser(document.question.options),
    count: 0,
    ended: false,
  }));
  const stats = (player: (typeof players)[number]): AnswerStats => {
    const whole = player.recorded.stats;
    const share = player.count / Math.max(1, player.recorded.tokens.length);
    return {
      promptTokens: document.promptTokens ?? 0,
      visualTokens: document.model.visualTokens ?? 0,
      timeToFirstTokenMs: whole?.timeToFirstTokenMs ?? 0,
      prefillMs: whole?.prefillMs ?? 0,
      tokensPerSecond: whole?.tokensPerSecond ?? 0,
      newTokens: player.count,
      decodeMs: (whole?.decodeMs ?? 0) * share,
    };
  };
  post({ type: 'ask-started', id, promptTokens: document.promptTokens ?? 0 });
  const first = document.samples[0]?.stats;
  await pause(first?.timeToFirstTokenMs ?? 0, signal);
  const interval = 1000 / Math.min(MOST_TOKENS_PER_SECOND, first?.tokensPerSecond || MOST_TOKENS_PER_SECOND);
  while (!signal.aborted && players.some((player) => !player.ended)) {
    for (const player of players) {
      if (player.ended) continue;
      const { sample, recorded, parser } = player;
      const token = recorded.tokens[player.count];
      if (token) {
        player.count += 1;
        const trace = parser.push(token.text);
        post({ type: 'tokens', id, sample, tokens: [importToken(token)], trace, stats: stats(player) });
      }
      if (player.count < recorded.tokens.length) continue;
      player.ended = true;
      const { trace, reason = 'stopped', reward } = recorded;
      post({
        type: 'answered',
        id,
        sample,
        trace,
        stats: stats(player),
        reason,
        ...(reward ? { reward } : {}),
      });
    }
    await pause(interval, signal);
  }
  for (const player of players.filter(({ ended }) => !ended)) {
    const trace = player.parser.end();
    post({ type: 'answered', id, sample: player.sample, trace, stats: stats(player), reason: 'stopped' });
  }
  const { group } = document;
  const newTokens = players.reduce((sum, { count }) => sum + count, 0);
  const complete = players.every(({ recorded, count }) => count === recorded.tokens.length);
  post({
    type: 'ask-done',
    id,
    group: {
      prefixTokens: group?.prefixTokens ?? 0,
      prefillMs: group?.prefillMs ?? 0,
      decodeMs: group?.decodeMs ?? 0,
      kvBytes: group?.kvBytes ?? 0,
      tokensPerSecond: group?.tokensPerSecond ?? 0,
      newTokens,
      ...(complete && group?.advantages ? { advantages: group.advantages } : {}),
    },
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) {
      resolve();
      return;
    }
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
