import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TINYLLAVA_VIDEO_R1, TOY } from '../../src/grpo/grpo-config';
import { DEFAULT_LORA } from '../../src/lora/lora-config';
import { metricsCsv } from '../../src/worker/training/metrics-csv';
import { trlFiles } from '../../src/worker/training/trl-export';
import type { RunConfig } from '../../src/worker/training-protocol';

const config: RunConfig = {
  stage: 'grpo',
  grpo: { ...TINYLLAVA_VIDEO_R1, max_steps: 100 },
  lora: DEFAULT_LORA,
  rewards: [
    { name: 'signed_reward', weight: 1 },
    { name: 'repetition_penalty', weight: 0.5, ngram_size: 4 },
    { name: 'soft_overlong_punishment', weight: 1 },
    { name: 'user_reward', weight: 1, code: "return \"a\\n'''\";\u2028" },
  ],
  max_length_reward: 300,
  eval_questions: 10,
  eval_steps: 0,
  save_steps: 20,
  kl_limit: 0.15,
};
const question = {
  problem: 'Which?\nOptions:\nA. "one"\nB. zwei – $&',
  solution: '<answer>B</answer>',
  video_filename: './clips/a.mp4',
};
const filesOf = (change: Partial<RunConfig> = {}, kind = 'files', step = 40) => {
  const run = { name: 'Run 7', model: 'Toy base', config: { ...config, ...change }, data: { kind } };
  return new Map(trlFiles(run, step, [question]).map(({ name, text }) => [name, text]));
};

const python = (() => {
  try {
    execFileSync('python3', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

describe('metrics as CSV', () => {
  it('have a column a key, empty where a line lacks it', () => {
    const csv = metricsCsv([
      { step: 1, loss: 0.5 },
      { step: 1, eval_accuracy: 0.25 },
      { step: 2, loss: -1e-9, 'rewards/a,"b"/mean': 2 },
    ]);
    expect(csv).toBe(
      'step,loss,eval_accuracy,"rewards/a,""b""/mean"\r\n1,0.5,,\r\n1,,0.25,\r\n2,-1e-9,,2\r\n',
    );
  });
});

describe('the script for TRL', () => {
  it("has the run's settings by GRPOConfig's names, the steps that are left, and its rewards", () => {
    const train = filesOf().get('train.py')!;
    for (const line of [
      '    num_generations=8,',
      '    beta=0.01,',
      '    top_k=50,',
      '    loss_type="grpo",',
      '    lr_scheduler_type="cosine",',
      '    mask_truncated_completions=False,',
      '    max_steps=60,',
      '    per_device_train_batch_size=8,',
      '    gradient_accumulation_steps=8,',
      '    steps_per_generation=8,',
      '    warmup_steps=2,',
      '    min_p=None,',
      '    rewards.make_signed_reward(300),',
      '    rewards.make_repetition_penalty(4, -1),',
      '    rewards.make_soft_overlong_punishment(512, 103),',
      'REWARD_WEIGHTS = [1, 0.5, 1, 1]',
    ])
      expect(train).toContain(`${line}\n`);
    expect(train).toContain('PROMPT_AFTER = " Output the thinking process');
    expect(filesOf({}, 'toy').get('train.py')).toContain('PROMPT_AFTER = "\\nOutput the thinking process');
    expect(train).not.toContain('kl_clamp');
    expect(train).toContain('use_bias_correction_kl=False,\n            **SETTINGS');
    expect(filesOf().get('README.md')).toContain('the run did, at 100');
    expect(JSON.parse(filesOf().get('dataset.jsonl')!)).toEqual(question);
    // TRL's steps are updates: here four a step.
    const grpo = { ...config.grpo, num_iterations: 2, steps_per_generation: 2, min_p: 0.1 };
    const more = filesOf({ grpo }).get('train.py')!;
    for (const line of [
      'num_iterations=2',
      'min_p=0.1',
      'max_steps=240',
      'warmup_steps=8',
      'gradient_accumulation_steps=4',
      'steps_per_generation=8',
      'save_steps=80',
    ])
      expect(more).toContain(`    ${line},\n`);
  });

  it('trains a run that is done for as many steps again, and says so', () => {
    const files = filesOf({}, 'files', 100);
    expect(files.get('train.py')).toContain('    max_steps=100,\n');
    expect(files.get('README.md')).toContain('over as many steps as the run had, which is done');
    expect(filesOf().get('README.md')).toContain('over the steps that are left');
  });

  describe.runIf(python)('in Python', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'trl-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));
    const run = (code: string) =>
      execFileSync('python3', ['-c', code], { cwd: folder, encoding: 'utf8' }).trim();

    it('compiles, also with a reward of the user and settings that JSON has not', () => {
      const grpo = { ...TOY, epsilon_high: Number.POSITIVE_INFINITY };
      for (const [name, text] of filesOf({ grpo })) writeFileSync(join(folder, name), text);
      const scripts = ['train.py', 'rewards.py', 'checkpoint.py', 'encode_videos.py'];
      execFileSync('python3', ['-m', 'py_compile', ...scripts], { cwd: folder });
    });

    it('scores as the original does, on the recorded rows', () => {
      for (const [name, text] of filesOf()) writeFileSync(join(folder, name), text);
      const golden = JSON.parse(readFileSync('tests/golden/grpo.json', 'utf8'));
      const { rows } = golden.rewards as {
        rows: { text: string; solution: string; accuracy: number; format: number; total: number }[];
      };
      writeFileSync(join(folder, 'rows.json'), JSON.stringify(rows));
      const scores = JSON.parse(
        run(
          'import json, rewards as r\n' +
            'rows = json.load(open("rows.json"))\n' +
            'a = {"completions": [x["text"] for x in rows], "solution": [x["solution"] for x in rows]}\n' +
            'print(json.dumps([r.make_accuracy_reward()(**a), r.make_format_reward(1200)(**a), ' +
            'r.make_signed_reward(1200)(**a)]))',
        ),
      ) as number[][];
      expect(rows.length).toBeGreaterThan(80);
      expect(scores[0]).toEqual(rows.map(({ accuracy }) => accuracy));
      expect(scores[2]!.map(Math.fround)).toEqual(rows.map(({ total }) => Math.fround(total)));
    });

    it("gives TRL's own rewards by their rules", () => {
      for (const [name, text] of filesOf()) writeFileSync(join(folder, name), text);
      const scores = run(
        'import json, rewards as r\n' +
          'print(json.dumps([r.make_soft_overlong_punishment(10, 4)(completion_ids=[[0] * n for n in (6, 8, 10, 11)]), ' +
          'r.make_repetition_penalty(2, -1)(completion_ids=[[1, 2, 1, 2, 1], [1], [1, 2, 3]]), ' +
          'r.make_think_format_reward()(completions=["<think>a</think> b", "<think>a<think></think>", "a"])]))',
      );
      expect(JSON.parse(scores)).toEqual([
        [0, -0.5, -1, -1],
        [-0.5, 0, -0],
        [1, 0, 0],
      ]);
    });
  });
});
