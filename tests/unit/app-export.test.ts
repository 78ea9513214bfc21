import { describe, expect, it } from 'vitest';
import { ffmpegLine } from '../../src/app/ask/ffmpeg-line';
import { traceMarkdown } from '../../src/app/export/markdown';
import { linkHash, parseLink, type QuestionLink } from '../../src/app/export/question-link';
import {
  documentJson,
  exportToken,
  importToken,
  TRACE_FORMAT,
  TRACE_VERSION,
  type TraceDocument,
} from '../../src/app/export/trace-document';

const settings = { temperature: 1, top_k: 50, top_p: 0.95, max_new_tokens: 256, seed: 17 };
const link: QuestionLink = {
  clip: 'race.mp4',
  text: 'Which “object” moves & where? #1',
  options: ['red cross', 'blue, square'],
  label: 1,
  reasoning: false,
  sampling: '1fps',
  num_generations: 4,
  settings: { temperature: 0.5, top_k: 0, top_p: 1, max_new_tokens: 64, seed: 3 },
};

describe('a link to a question', () => {
  it('carries everything there and back', () => {
    expect(parseLink(linkHash(link), { settings })).toEqual({ link, problems: [] });
    const plain = { ...link, options: [], reasoning: true, sampling: 'uniform', num_generations: 1 } as const;
    const { label: _, ...free } = plain;
    expect(parseLink(linkHash({ ...free, options: [] }), { settings })?.link).toEqual(free);
  });

  it('is no link where the hash is another', () => {
    expect(parseLink('', { settings })).toBeUndefined();
    expect(parseLink('#train', { settings })).toBeUndefined();
  });

  it('takes no field that it should not', () => {
    const bad =
      '#ask?clip=race.mp4&q=What%3F&o=a&o=b&label=F&temperature=99&seed=1e999&top_k=&g=9&frames=all';
    const parsed = parseLink(bad, { settings })!;
    expect(parsed.link).toMatchObject({
      options: ['a', 'b'],
      settings,
      num_generations: 1,
      sampling: 'uniform',
    });
    expect(parsed.link?.label).toBeUndefined();
    expect(parsed.problems).toHaveLength(6);
    expect(parseLink('#ask?clip=race.mp4&q=What&o=only', { settings })?.link?.options).toEqual([]);
    const prototype = parseLink('#ask?clip=race.mp4&q=What&g=constructor&label=toString&o=a&o=b', {
      settings,
    });
    expect(prototype?.link?.num_generations).toBe(1);
    expect(prototype?.problems).toHaveLength(2);
  });

  it('says what is missing where nothing can be opened', () => {
    for (const clip of ['', '../secret.mp4', 'https://example.com/a.mp4', 'a.exe']) {
      const parsed = parseLink(`#ask?${new URLSearchParams({ clip, q: 'What?' })}`, { settings })!;
      expect(parsed.link).toBeUndefined();
      expect(parsed.problems).toEqual(['It names no sample clip.']);
    }
    expect(parseLink('#ask?clip=race.mp4', { settings })?.problems).toEqual(['It has no question.']);
    expect(parseLink('#ask?%E0%A4%A', { settings })?.link).toBeUndefined();
  });
});

const token = {
  id: 7,
  text: ' "Wait" \\',
  prob: 0.123456789,
  logp: -2.0918641,
  rank: 1,
  entropy: 0.5,
  alternatives: [
    { id: 7, text: ' "Wait" \\', prob: 0.123456789, kept: true },
    { id: 8, text: ' So', prob: 1e-9, kept: false },
  ],
};
const document: TraceDocument = {
  format: TRACE_FORMAT,
  version: TRACE_VERSION,
  created: '2026-01-01T00:00:00.000Z',
  model: { name: 'Toy *model*', weightBytes: 8_100_000, backend: 'wgsl' },
  video: { name: '<b>clip</b>.mp4', sampledTimes: [0, 0.25] },
  question: { text: 'Which [object](http://x) | moves?', options: ['red', 'blue'], reasoning: true },
  label: 'B',
  settings,
  samples: [
    {
      reason: 'eos',
      trace: {
        phase: 'done',
        text: '<think>Wait.</think><answer>B</answer>',
        sentences: [
          { text: '1. I see it.', start: 0, end: 1 },
          { text: 'Wait.', start: 1, end: 2, aha: { kind: 'checks', rule: 'wait', label: 'checks itself' } },
        ],
        answer: 'B',
        problems: [],
      },
      tokens: [exportToken(token)],
    },
  ],
};

describe('an exported trace', () => {
  it('is JSON with each token on a line, and comes back as it was', () => {
    const text = documentJson(document);
    expect(JSON.parse(text)).toEqual(document);
    expect(
      text.split('\n').some((line) => line.includes('"id":7') && line.includes('"alternatives":[[')),
    ).toBe(true);
  });

  it('rounds tokens, and keeps as many alternatives as are asked for', () => {
    const short = exportToken(token, 4, 1);
    expect(short).toMatchObject({
      prob: 0.1235,
      logp: -2.092,
      alternatives: [[7, ' "Wait" \\', 0.1235, true]],
    });
    expect(importToken(exportToken(token, 15))).toEqual(token);
  });

  it('is Markdown in which foreign text is no markup', () => {
    const text = traceMarkdown(document);
    expect(text).toContain('# Which \\[object\\]\\(http://x\\) \\| moves?');
    expect(text).toContain('> 1\\. I see it.');
    expect(text).toContain('> Wait. **[checks itself: wait]**');
    expect(text).toContain('- B. blue (right)');
    expect(text).toContain('**Answer:** B, blue');
    expect(text).toContain('&lt;b\\>clip&lt;/b\\>.mp4');
  });
});

describe('the ffmpeg line', () => {
  it('quotes names that would be options or commands', () => {
    expect(ffmpegLine("-i; rm 'a'.mkv")).toBe(
      "ffmpeg -i './-i; rm '\\''a'\\''.mkv' -c:v libx264 -pix_fmt yuv420p -movflags +faststart './-i; rm '\\''a'\\''-h264.mp4'",
    );
  });
});
