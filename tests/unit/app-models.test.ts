import { describe, expect, it } from 'vitest';
import {
  exportToken,
  TRACE_FORMAT,
  TRACE_VERSION,
  type TraceDocument,
} from '../../src/app/export/trace-document';
import { isModelFile, looseName, missingFiles, withFiles } from '../../src/app/models/loose-files';
import { rememberUrl, reviveModels } from '../../src/app/models/model-store';
import { hubUrl, modelName, modelUrl } from '../../src/app/models/model-url';
import { hashFile } from '../../src/app/recorded/hash-file';
import { playRecording } from '../../src/app/recorded/play-recording';
import { findRecording, notRecorded } from '../../src/app/recorded/recordings';
import type { EngineEvent } from '../../src/worker/protocol';

const base = 'http://localhost:4173/playground/';

describe('the address of a model', () => {
  it('is a folder over https, or of this host', () => {
    const url = (text: string) => modelUrl(text, base);
    expect(url(' https://a.test/m ')).toEqual({ url: 'https://a.test/m/' });
    expect(url('https://a.test/m/config.json?x=1#y')).toEqual({ url: 'https://a.test/m/' });
    expect(url('./models/toy')).toEqual({ url: 'http://localhost:4173/playground/models/toy/' });
    expect(url('https://huggingface.co/Zhang199/TinyLLaVA-Video-R1')).toEqual({
      url: 'https://huggingface.co/Zhang199/TinyLLaVA-Video-R1/resolve/main/',
    });
    expect(url('http://localhost:8000/m')).toEqual({ url: 'http://localhost:8000/m/' });
    for (const bad of [
      '',
      'http://a.test/m',
      'javascript:alert(1)',
      'file:///etc',
      'https://',
      'https://u:p@a.test/m',
    ])
      expect(url(bad), bad).toHaveProperty('problem');
  });

  it('may be a repository’s name, of the usual hub or another', () => {
    const url = (text: string, hub?: string) => modelUrl(text, base, hub);
    expect(url('Zhang199/TinyLLaVA-Video-R1@v1.0')).toEqual({
      url: 'https://huggingface.co/Zhang199/TinyLLaVA-Video-R1/resolve/v1.0/',
    });
    expect(url(' a/b ', 'http://127.0.0.1:9/mirror/')).toEqual({
      url: 'http://127.0.0.1:9/mirror/a/b/resolve/main/',
    });
    expect(url('a/b', 'http://mirror.test')).toHaveProperty('problem');
    expect(hubUrl('https://mirror.test/x/', base)).toEqual({ url: 'https://mirror.test/x' });
    expect(hubUrl(' ', base)).toEqual({ url: 'https://huggingface.co' });
    expect(hubUrl('http://mirror.test', base)).toHaveProperty('problem');
  });

  it('has a short name', () => {
    expect(modelName('http://localhost:1/mirror/a/b-c/resolve/v2/')).toBe('b-c');
    expect(modelName('https://huggingface.co/a/b-c/resolve/main/')).toBe('b-c');
    expect(modelName('https://a.test/x/my%20model/')).toBe('my model');
    expect(modelName('https://a.test/')).toBe('a.test');
  });

  it('is remembered, newest first, and checked when it comes back', () => {
    let models = reviveModels(undefined, base);
    expect(models).toEqual({ chosen: { kind: 'toy' }, recent: [] });
    for (const name of ['a', 'b', 'a'])
      models = { ...models, ...rememberUrl(models, `https://${name}.test/m/`) };
    expect(reviveModels(JSON.parse(JSON.stringify(models)), base)).toEqual({
      chosen: { kind: 'url', url: 'https://a.test/m/' },
      recent: ['https://a.test/m/', 'https://b.test/m/'],
    });
    const bad = { chosen: { kind: 'url', url: 'http://evil.test/' }, recent: [3], speed: 'fast' };
    expect(reviveModels(bad, base)).toEqual({ chosen: { kind: 'toy' }, recent: [] });
    expect(reviveModels({ ...models, speed: 41e6 }, base).speed).toBe(41e6);
    expect(reviveModels({ ...models, speed: -1 }, base).speed).toBeUndefined();
  });

  it('tells a model from a video among dropped files', () => {
    expect(isModelFile(new File([], 'config.json'))).toBe(true);
    expect(isModelFile(new File([], 'a-part.safetensors'))).toBe(true);
    expect(isModelFile(new File([], 'clip.mp4'))).toBe(false);
  });
});

describe('files of a model, chosen one after another', () => {
  const file = (name: string, text = '') => new File([text], name);
  const missing = (...files: (string | File)[]) =>
    missingFiles(files.map((one) => (typeof one === 'string' ? file(one) : one)));
  const index = (...names: string[]) =>
    file(
      'model.safetensors.index.json',
      JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [`t${i}`, name])) }),
    );

  it('are whole with a config, a tokenizer and weights', async () => {
    expect(await missing('config.json', 'tokenizer.json', 'model.safetensors')).toEqual([]);
    const slow = ['config.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json'];
    expect(await missing(...slow, 'only.safetensors')).toEqual([]);
    expect(await missing(...slow, index('a.safetensors', 'b.safetensors'), 'a.safetensors')).toEqual([
      'b.safetensors',
    ]);
  });

  it('lack what is not there, by name', async () => {
    expect(await missing('vocab.json')).toEqual([
      'config.json',
      'merges.txt',
      'tokenizer_config.json',
      'model.safetensors (or model.safetensors.index.json and its parts)',
    ]);
    expect(await missing('config.json', 'model-00002-of-00003.safetensors')).toEqual([
      'tokenizer.json (or vocab.json, merges.txt and tokenizer_config.json)',
      'model.safetensors.index.json',
      'model-00001-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
    ]);
    const two = ['config.json', 'tokenizer.json', 'a.safetensors', 'b.safetensors'];
    expect(await missing(...two)).toEqual(['model.safetensors.index.json']);
    // What its index is, the engine says.
    expect(
      await missing('config.json', 'tokenizer.json', file('model.safetensors.index.json', '<html>')),
    ).toEqual([]);
  });

  it('replace those of their name', () => {
    const [old, other, now] = [file('a.json', '1'), file('b.json'), file('a.json', '2')];
    expect(withFiles([old, other], [now])).toEqual([now, other]);
  });

  it('are called as their config names the model', async () => {
    const name = (text: string) => looseName([file('tokenizer.json'), file('config.json', text)]);
    expect(await name('{"_name_or_path": "/home/me/runs/tuned-7/"}')).toBe('tuned-7');
    expect(await name('{"_name_or_path": "D:\\\\runs\\\\tuned 8"}')).toBe('tuned 8');
    expect(await name(`{"_name_or_path": "${'a'.repeat(999)}"}`)).toBe('a'.repeat(80));
    for (const text of ['{}', '{"_name_or_path": 3}', '{"_name_or_path": "./"}', 'null', '<html>'])
      expect(await name(text), text).toBe('the chosen files');
    expect(await looseName([])).toBe('the chosen files');
  });
});

const settings = { temperature: 1, top_k: 50, top_p: 0.95, max_new_tokens: 256, seed: 17 };
const question = { text: 'Which?', options: ['red', 'blue'], reasoning: true };
const token = (id: number, text: string) =>
  exportToken({ id, text, prob: 1, logp: 0, rank: 1, entropy: 0, alternatives: [] });
const recorded: TraceDocument = {
  format: TRACE_FORMAT,
  version: TRACE_VERSION,
  created: '',
  model: { name: 'toy' },
  video: { name: 'clip.mp4' },
  question,
  settings,
  samples: [
    {
      reason: 'eos',
      trace: { phase: 'done', text: 'whole', sentences: [], answer: 'A', problems: [] },
      tokens: [token(1, '<think>'), token(2, 'Wait.')],
      reward: { reward: 1 },
    },
  ],
};

describe('recorded answers', () => {
  it('are found by everything they depend on', () => {
    expect(findRecording([recorded], { question, settings, num_generations: 1 })).toBe(recorded);
    const other = { question, settings: { ...settings, seed: 18 }, num_generations: 1 };
    expect(findRecording([recorded], other)).toBeUndefined();
    expect(notRecorded([recorded], other)).toContain('seed 17');
    const words = { question: { ...question, options: ['red'] }, settings, num_generations: 1 };
    expect(findRecording([recorded], words)).toBeUndefined();
    expect(notRecorded([recorded], words)).toContain('Which?');
    expect(findRecording([recorded], { question, settings, num_generations: 2 })).toBeUndefined();
  });

  it('are played token by token, and end as they were recorded', async () => {
    const events: EngineEvent[] = [];
    await playRecording(recorded, 5, new AbortController().signal, (event) => events.push(event));
    expect(events.map(({ type }) => type)).toEqual([
      'ask-started',
      'tokens',
      'tokens',
      'answered',
      'ask-done',
    ]);
    expect(events[3]).toMatchObject({
      id: 5,
      trace: { text: 'whole' },
      reason: 'eos',
      reward: { reward: 1 },
    });
  });

  it('end where they are stopped', async () => {
    const events: EngineEvent[] = [];
    const stop = new AbortController();
    await playRecording(recorded, 5, stop.signal, (event) => {
      events.push(event);
      if (event.type === 'tokens') stop.abort();
    });
    expect(events.at(-2)).toMatchObject({ type: 'answered', reason: 'stopped', stats: { newTokens: 1 } });
  });

  it('know their clip by its bytes', async () => {
    expect(await hashFile(new Blob(['a']))).toBe('e40c292c');
    expect(await hashFile(new Blob([]))).toBe('811c9dc5');
  });
});
