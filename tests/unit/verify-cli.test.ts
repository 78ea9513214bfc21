import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VerifyReport } from '../../src/cli/verify/report';

const root = fileURLToPath(new URL('../..', import.meta.url));
const golden = join(root, 'tests/golden');
const checkpoint = join(golden, 'checkpoint');
let reference: string;

beforeAll(async () => {
  reference = await mkdtemp(join(tmpdir(), 'verify-'));
  for (const name of ['text.json', 'frame_indices.json']) await cp(join(golden, name), join(reference, name));
});
afterAll(() => rm(reference, { recursive: true }));

function verify(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const command = [join(root, 'scripts/cli.mjs'), 'verify', ...args];
    execFile(process.execPath, command, { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

function lastLine(stdout: string): VerifyReport {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
}

// The stages of a model run in tests/gpu/verify.test.ts; here it is the command around them.
describe('npm run verify', { timeout: 240_000 }, () => {
  it('prints a table and, as the last line, JSON; skips what the reference lacks', async () => {
    const { code, stdout } = await verify('--checkpoint', checkpoint, '--reference', reference, '--json');
    const report = lastLine(stdout);
    expect(report.ok).toBe(true);
    expect(report.stages.map((stage) => stage.name)).toEqual([
      'preprocessing.frame_indices',
      'text.encode',
      'text.decode',
      'text.templates',
    ]);
    expect(stdout).toMatch(/^text\.encode +0 +0 +equal +ok$/m);
    expect(stdout).toContain('There is no vision.safetensors');
    expect(code).toBe(0);
  });

  it('exits with 1 where a value is beyond tolerance', async () => {
    const text = JSON.parse(await readFile(join(golden, 'text.json'), 'utf8'));
    text.encode[1].ids[0] += 1;
    await writeFile(join(reference, 'text.json'), JSON.stringify(text));
    const { code, stdout } = await verify('--checkpoint', checkpoint, '--reference', reference, '--json');
    expect(code).toBe(1);
    const report = lastLine(stdout);
    expect(report.ok).toBe(false);
    // The id is one of a text that is encoded and decoded.
    expect(report.stages.filter((stage) => !stage.ok).map((stage) => stage.name)).toEqual([
      'text.encode',
      'text.decode',
    ]);
    expect(report.stages[1]).toMatchObject({ max_abs: 1, max_rel: 1 / text.encode.length, tolerance: 0 });
  });

  it('says what is wrong with its arguments', async () => {
    expect(await verify('--checkpoint', checkpoint)).toMatchObject({ code: 2 });
    const nowhere = await verify('--checkpoint', join(reference, 'none'), '--reference', reference);
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toContain('There is no config.json');
    const empty = await verify('--checkpoint', checkpoint, '--reference', join(golden, 'adapter'));
    expect(empty.code).toBe(1);
    expect(empty.stderr).toContain('There is no reference in');
  });
});
