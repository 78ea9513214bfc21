import { describe, expect, it } from 'vitest';
import { RewardError } from '../../src/grpo/rewards/score-group';
import { StorageError } from '../../src/storage/errors';
import { VideoError } from '../../src/video/errors';
import { pauseFor, QuestionError } from '../../src/worker/training/run-ending';
import { ScoreCalls } from '../../src/worker/training/score-calls';
import type { TrainingEvent } from '../../src/worker/training-protocol';

const answers = [{ text: 'a', problem: 'p', solution: 's', tokens: 1 }];
const never = new AbortController().signal;

describe('calls of a user’s reward', () => {
  it('are told apart, and late replies are dropped', async () => {
    const posted: TrainingEvent[] = [];
    const calls = new ScoreCalls((event) => posted.push(event));
    const [first, second] = [calls.score('f', answers, never), calls.score('g', answers, never)];
    expect(posted.map((event) => event.type === 'score-answers' && [event.call, event.code])).toEqual([
      [1, 'f'],
      [2, 'g'],
    ]);
    calls.reply({ type: 'scores', call: 2, scores: [2] });
    calls.reply({ type: 'scores', call: 1, scores: [1] });
    calls.reply({ type: 'scores', call: 1, scores: [9] });
    expect(await Promise.all([first, second])).toEqual([[1], [2]]);
  });

  it('end with what the function threw, with the page’s silence, or with a pause', async () => {
    const calls = new ScoreCalls(() => {}, 20);
    const thrown = calls.score('f', answers, never);
    calls.reply({ type: 'scores', call: 1, error: 'label is undefined' });
    await expect(thrown).rejects.toThrow('label is undefined');
    await expect(calls.score('f', answers, never)).rejects.toThrow('no scores within 0.02 s');
    const pause = new AbortController();
    const cut = calls.score('f', answers, pause.signal);
    pause.abort(new Error('paused'));
    await expect(cut).rejects.toThrow('paused');
    await expect(calls.score('f', answers, pause.signal)).rejects.toThrow('paused');
  });
});

describe('what ends a run for now', () => {
  it('is told with the step, and what is kept', () => {
    const reward = pauseFor(
      new QuestionError(7, new RewardError('user_reward', [1, 3], 8, 'threw "x"')),
      41,
    )!;
    expect(reward.code).toBe('reward-failed');
    expect(reward.sentence).toBe(
      'The reward function failed. user_reward threw "x" on 2 of 8 answers at step 41. ' +
        'The run is paused and this step was not used.',
    );
    expect(pauseFor(new StorageError('full', 'Storage is full.'), 1)).toMatchObject({ code: 'storage-full' });
    expect(pauseFor(new VideoError('corrupt', 'a.mp4 is damaged.'), 1)!.sentence).toBe('a.mp4 is damaged.');
    expect(pauseFor(new StorageError('in-use', 'Held.'), 1)).toBeUndefined();
    expect(pauseFor(new Error('bug'), 1)).toBeUndefined();
  });
});
