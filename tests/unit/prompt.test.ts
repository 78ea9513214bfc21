import { describe, expect, it } from 'vitest';
import { buildPrompt, OPTION_INSTRUCTION, renderPrompt, withOptions } from '../../src/model/prompt';
import { pythonStrip } from '../../src/model/python-text';
import { goldenJson } from '../support/golden';
import type { GoldenText } from '../support/tokenizer-golden';

describe('prompts', () => {
  it('builds the original prompts of evaluation and of training', async () => {
    const { templates } = await goldenJson<GoldenText>('text.json');
    const question = withOptions('What does the yellow ball do in the video?', [
      'rolls to the left',
      'moves to the right',
      'stays still',
      'disappears',
      'turns blue',
    ]);
    const prompt = (name: string) => templates.find((item) => item.name === name)?.prompt;
    expect(buildPrompt(question)).toBe(prompt('inference'));
    expect(buildPrompt(question, { training: true })).toBe(prompt('grpo_train'));
    expect(renderPrompt('What is 2 + 2?')).toBe(prompt('text_only'));
  });

  it('can ask for the letter directly, and without a video', () => {
    expect(buildPrompt('Q?', { reasoning: false })).toMatch(
      new RegExp(`USER: <image>\nQ\\?\n${OPTION_INSTRUCTION.replace('.', '\\.')} ASSISTANT:$`),
    );
    expect(buildPrompt('Q?', { image: false })).toMatch(/USER: Q\?\nOutput the thinking/);
  });

  it('leaves a question without options as it is', () => {
    expect(withOptions('Why?', [])).toBe('Why?');
    expect(withOptions('Why?', ['x', 'y'])).toBe('Why?\nOptions:\nA. x\nB. y');
  });

  it('keeps one placeholder however many a message has', () => {
    expect(renderPrompt('<image> a <image>b ')).toContain('USER: <image>\na b ASSISTANT:');
    expect(renderPrompt('<image>')).toContain('USER: <image> ASSISTANT:');
  });

  it('strips like Python, not like JavaScript', () => {
    expect(pythonStrip('\x1c\x85 a\u3000')).toBe('a');
    expect(pythonStrip('\ufeffa')).toBe('\ufeffa');
    expect(pythonStrip(' \n')).toBe('');
  });
});
