import { describe, expect, it } from 'vitest';
import {
  aboutTime,
  addSample,
  type LoadSample,
  loadSpeed,
  meanSpeed,
  secondsLeft,
} from '../../src/app/models/load-speed';
import {
  chosenPlan,
  knownPrecision,
  offeredNote,
  partsOf,
  readPrecision,
  whatFits,
} from '../../src/app/models/plan-choice';
import {
  fitOf,
  keptOf,
  keptPrecision,
  mostTokens,
  partName,
  presetNote,
  roomOf,
  trainingRefusal,
} from '../../src/app/models/plan-facts';
import { isGone, replanHint } from '../../src/app/models/replan';
import {
  type DeskAction,
  type DeskNews,
  INITIAL_DESK_STATE,
  isDeskNews,
  reduceDesk,
} from '../../src/app/store/desk-state';
import type { ModelState } from '../../src/app/store/engine-state';
import { WEIGHT_PRECISIONS } from '../../src/weights/quantiser';
import type { KeptModel, ModelPlan, PrecisionPlan } from '../../src/worker/model-protocol';
import type { AdapterSummary, EngineError } from '../../src/worker/protocol';

const error: EngineError = { scope: 'model', code: 'checkpoint', title: 'No.', message: 'No such file.' };
const of = { name: 'm', source: { kind: 'url', url: 'https://a.test/m/' } } as const;
const four: PrecisionPlan = {
  preset: '4-bit',
  precision: { language: 'q4', embedding: 'q8', vision: 'f16', connector: 'f16' },
  parts: [{ name: 'language', bytes: 70 }],
  bytes: 100,
  largest: { name: 'embed', bytes: 60 },
  disk: 90,
  tokenBytes: 50,
};
/** A part of 64 values, the largest tensor half of it. */
const stored = WEIGHT_PRECISIONS.map((precision, i) => {
  const bytes = [256, 128, 64, 32][i]!;
  return { precision, bytes, largest: { name: 'embed', bytes: bytes / 2 }, tokenBytes: bytes };
});
const pieces = {
  stored: { language: stored, embedding: stored, vision: stored, connector: stored },
  other: { bytes: 4, largest: { name: 'norm', bytes: 4 } },
  caches: 10,
  tokenBytes: 5,
};
const plan: ModelPlan = {
  ...{ parameters: 5, download: 200, files: 220, weight_files: [], plans: [four], pieces },
  ...{ offered: four.precision, usual: four.precision },
};
const kept = {
  id: 'k',
  name: 'm',
  source: of.source.url,
  precision: 'language q4, embedding q8, vision f16, connector f16',
  bytes: 30,
  complete: false,
} as KeptModel;

function stateOf(...events: (DeskNews | DeskAction)[]) {
  return events.reduce(reduceDesk, INITIAL_DESK_STATE);
}

describe('what the page knows of models on disk', () => {
  it('takes what is its own of the engine’s messages, and only that', () => {
    const state = stateOf({ type: 'page/list', id: 3 }, { type: 'page/plan', id: 4, of });
    expect(isDeskNews(state, { type: 'kept-models', id: 3 })).toBe(true);
    expect(isDeskNews(state, { type: 'error', id: 3 })).toBe(true);
    expect(isDeskNews(state, { type: 'error', id: 4 })).toBe(true);
    expect(isDeskNews(state, { type: 'error', id: 5 })).toBe(false);
    expect(isDeskNews(state, { type: 'model-ready', id: 3 })).toBe(false);
  });

  it('keeps the newest plan, until a model is loaded', () => {
    const asked = stateOf({ type: 'page/plan', id: 4, of }, { type: 'page/plan', id: 5, of });
    expect(reduceDesk(asked, { type: 'model-plan', id: 4, plan })).toBe(asked);
    const room = { usage: 1, quota: 10, persisted: false };
    const known = reduceDesk(asked, { type: 'model-plan', id: 5, plan, room });
    expect(known).toMatchObject({ plan: { id: 5, of, plan }, room });
    expect(reduceDesk(asked, { type: 'error', id: 5, error }).plan).toEqual({ id: 5, of, error });
    expect(reduceDesk(known, { type: 'page/loading' }).plan).toBeUndefined();
    expect(reduceDesk(known, { type: 'page/close-plan' }).plan).toBeUndefined();
  });

  it('keeps a plan where the memory of training cannot be counted, and what else is known of it', () => {
    const planned = stateOf(
      { type: 'page/plan', id: 1, of },
      { type: 'model-plan', id: 1, plan: { ...plan, copy_gbps: 20 } },
      { type: 'error', id: 1, error },
    );
    expect(planned.plan).toMatchObject({ plan: { copy_gbps: 20 }, trainingError: error });
    expect(planned.plan?.error).toBeUndefined();
    const again = reduceDesk(planned, { type: 'page/plan-training' });
    expect(again.plan?.trainingError).toBeUndefined();
    const training = { bytes: 9, largestBuffer: 3 };
    const trained = { ...plan, plans: [{ ...four, training }] };
    const told = [again, trained, plan].reduce((state, next) =>
      reduceDesk(state as typeof again, { type: 'model-plan', id: 1, plan: next as ModelPlan }),
    ) as typeof again;
    expect(told.plan?.plan).toEqual({ ...trained, copy_gbps: 20 });
  });

  it('has an empty list where it cannot be read, or the engine is gone', () => {
    const asked = stateOf({ type: 'page/list', id: 3 });
    expect(asked.kept).toBeUndefined();
    expect(reduceDesk(asked, { type: 'error', id: 3, error })).toMatchObject({ kept: [], error, asked: [] });
    expect(reduceDesk(asked, { type: 'page/engine-gone' })).toMatchObject({ kept: [], asked: [] });
    const told = stateOf(
      { type: 'page/list', id: 3 },
      { type: 'kept-models', id: 3, models: [kept] },
      { type: 'page/list', id: 6 },
      { type: 'error', id: 6, error },
    );
    expect(told).toMatchObject({ kept: [kept], error });
    expect(reduceDesk(told, { type: 'kept-models', id: 7, models: [] }).error).toBeUndefined();
  });

  it('forgets that a model was not kept when another is loaded', () => {
    const told = stateOf({ type: 'not-kept', id: 2, message: 'Storage is full.' });
    expect(told.notKept).toEqual({ id: 2, message: 'Storage is full.' });
    expect(reduceDesk(told, { type: 'page/loading' }).notKept).toBeUndefined();
  });
});

describe('a model that was loaded from this browser', () => {
  const files = { ...kept, source: 'folder m' };
  const loaded = { source: { kind: 'kept', id: 'k' } } as ModelState;

  it('says what another precision takes where its files are out of reach', () => {
    expect(replanHint(loaded, [files])).toBe('To change its precision, choose its files again.');
    expect(replanHint(loaded, [])).toBe('To change its precision, load it from where it came from.');
    expect(replanHint(loaded, undefined)).toBe('');
    const own = { ...loaded, source: { kind: 'files', files: [] } } as ModelState;
    expect(replanHint(own, [files])).toBe('');
  });

  it('is not kept any more once its row is gone', () => {
    expect(isGone(loaded, [])).toBe(true);
    for (const rows of [undefined, [files]]) expect(isGone(loaded, rows)).toBe(false);
    expect(isGone({ source: of.source }, [])).toBe(false);
  });
});

describe('the speed of a load', () => {
  const at = (time: number, done: number, total = 1000): LoadSample => ({ time, done, total });
  const all = (...samples: LoadSample[]) => samples.reduce<LoadSample[]>(addSample, []);

  it('is the mean over the last seconds', () => {
    expect(loadSpeed(all(at(0, 0)))).toBeUndefined();
    expect(loadSpeed(all(at(0, 0), at(100, 50)))).toBeUndefined();
    const samples = all(at(0, 0), at(1000, 100), at(2000, 200));
    expect(loadSpeed(samples)).toBe(100);
    expect(secondsLeft(samples)).toBe(8);
    expect(loadSpeed(all(at(0, 0), at(1000, 500), at(20_000, 500), at(21_000, 510)))).toBe(10);
  });

  it('begins again where the count does, and says nothing where nothing comes', () => {
    expect(all(at(0, 0), at(1000, 900), at(1100, 5, 400))).toEqual([at(1100, 5, 400)]);
    expect(secondsLeft(all(at(0, 50), at(1000, 50)))).toBeUndefined();
  });

  it('is that of a whole download for the next one, without what was kept', () => {
    const loaded = (time: number, done: number, total: number, kept = false) =>
      ({ type: 'page/loaded', time, done, total, kept }) as const;
    const state = stateOf(
      { type: 'page/loading' },
      loaded(0, 50, 60, true),
      loaded(100, 60, 60, true),
      loaded(1000, 10, 400),
      loaded(20_000, 10, 400),
      loaded(31_000, 310, 400),
    );
    expect(meanSpeed(state.began, state.samples.at(-1))).toBe(10);
    const disk = stateOf({ type: 'page/loading' }, loaded(0, 0, 60, true), loaded(9000, 60, 60, true));
    expect(meanSpeed(disk.began, disk.samples.at(-1))).toBeUndefined();
    expect(reduceDesk(state, { type: 'page/loading' }).began).toBeUndefined();
    const [one] = state.samples;
    expect(meanSpeed(one, one)).toBeUndefined();
  });

  it('is told in words', () => {
    expect([2, 12, 54, 58, 200, 3600, 4800].map(aboutTime)).toEqual([
      'less than 5 s',
      'about 15 s',
      'about 55 s',
      'about 1 min',
      'about 3 min',
      'about 1 h',
      'about 1 h 20 min',
    ]);
  });
});

describe('whether a model fits', () => {
  const adapter = (maxBufferSize: number, maxStorageBufferBindingSize: number) =>
    ({ limits: { maxBufferSize, maxStorageBufferBindingSize } }) as AdapterSummary;
  const room = (quota: number) => ({ usage: 10, quota, persisted: true });

  it('is held against one buffer, one binding, and the storage', () => {
    expect(fitOf(four, adapter(60, 60), room(100))).toEqual({ fits: true, notKept: false, reason: '' });
    expect(fitOf(four, adapter(100, 59), room(100))).toMatchObject({ fits: false });
    expect(fitOf(four, adapter(59, 100), room(100)).reason).toContain('embed, takes 60 B');
    expect(fitOf(four, adapter(60, 60), room(99))).toMatchObject({ fits: true, notKept: true });
    expect(fitOf(four, adapter(60, 60), room(70), 30)).toMatchObject({ notKept: false });
    expect(fitOf(four, undefined, undefined)).toMatchObject({ fits: true, notKept: false });
    const none = roomOf({ room: room(1000), error: { ...error, code: 'no-storage' } });
    expect(fitOf(four, undefined, none)).toMatchObject({ fits: true, notKept: true });
    expect(roomOf({ room: room(1000), error })).toEqual(room(1000));
  });

  it('says which precisions fit where one does not', () => {
    const all = { language: 'f32', embedding: 'f32', vision: 'f32', connector: 'f32' } as const;
    const largest = { name: 'embed', bytes: 240 };
    const f32: PrecisionPlan = { ...four, preset: 'f32', precision: all, largest };
    const eight: PrecisionPlan = { ...four, preset: '8-bit' };
    const of = (...plans: PrecisionPlan[]) => whatFits({ ...plan, plans }, adapter(100, 100), undefined);
    expect(of(four, eight, f32)).toBe('4-bit and 8-bit fit.');
    expect(of(four, f32)).toBe('4-bit fits.');
    expect(of(f32)).toBe('Chosen for each part, language 4-bit, embedding 8-bit, vision f16 fits.');
    expect(whatFits({ ...plan, plans: [f32] }, adapter(60, 60), undefined)).toBe(
      'It fits in no precision: in 4-bit, embed takes 16 B. Choose a smaller model.',
    );
  });

  it('is planned with a precision for each part', () => {
    expect(chosenPlan(plan, { ...four.precision })).toBe(four);
    const own = { ...four.precision, embedding: 'q4' } as const;
    expect(chosenPlan(plan, own)).toMatchObject({ precision: own, disk: 32 + 32 + 128 + 128 + 4 });
    expect(chosenPlan(plan, own)).not.toHaveProperty('training');
    const trained = { ...plan, plans: [{ ...four, training: { bytes: 1000, largestBuffer: 3 } }] };
    expect(chosenPlan(trained, own).training).toEqual({ bytes: 1000 + 324 - 90, largestBuffer: 3 });
    expect(partsOf(pieces)).toEqual(['language', 'embedding', 'vision', 'connector']);
  });

  it('says where a part is offered in fewer bits than usual', () => {
    expect(offeredNote(plan, adapter(60, 60))).toBe('');
    const offered = { ...four.precision, vision: 'q8' } as const;
    expect(offeredNote({ ...plan, offered }, adapter(60, 50))).toBe(
      'Vision encoder in 8-bit here: in f16 its largest tensor takes 64 B, and one buffer of this adapter 50 B.',
    );
  });

  it('goes on in the precision of what is kept, or in the one that was asked for', () => {
    expect(readPrecision(kept.precision, pieces)).toEqual(four.precision);
    for (const line of ['', 'language q4', 'language q5, embedding q8, vision f16, connector f16'])
      expect(readPrecision(line, pieces), line).toBeUndefined();
    expect(knownPrecision(of, plan, [kept])).toEqual(four.precision);
    expect(knownPrecision(of, plan, [{ ...kept, source: 'https://b.test/' }])).toBeUndefined();
    const precision = 'language q8, embedding q8, vision q8, connector f32';
    expect(knownPrecision({ ...of, precision }, plan, [kept])).toMatchObject({ connector: 'f32' });
  });

  it('is told for training with the settings that would fit', () => {
    const training = { bytes: 300, largestBuffer: 101, suggestions: { num_generations: 4, r: 8 } };
    expect(trainingRefusal(training, adapter(101, 200))).toBe('');
    expect(trainingRefusal(training, undefined)).toBe('');
    expect(trainingRefusal(training, adapter(200, 100))).toBe(
      'Its largest buffer takes 101 B, and one buffer of this adapter 100 B. 4 answers, or rank 8 would fit.',
    );
    expect(trainingRefusal({ ...training, suggestions: {} }, adapter(100, 100))).toContain('No smaller');
  });

  it('answers as fast at most as its weights are read', () => {
    expect(mostTokens({ ...four, tokenBytes: 2e9 }, 100)).toBe('50');
    expect(mostTokens({ ...four, tokenBytes: 2e9 }, 8.9)).toBe('4.5');
  });

  it('knows what is kept of it in that precision', () => {
    expect(keptOf([kept], of.source.url, four)).toBe(kept);
    expect(keptOf([kept], 'https://b.test/m/', four)).toBeUndefined();
    expect(keptOf([{ ...kept, precision: 'language f32' }], of.source.url, four)).toBeUndefined();
    expect(keptPrecision(kept)).toBe('language 4-bit');
    expect(keptPrecision({ precision: 'language f32, embedding f32' })).toBe('f32');
  });

  it('has its parts in words', () => {
    expect(partName({ name: 'embedding', bytes: 1 }, four)).toBe('embedding and head, 8-bit');
    expect(partName({ name: 'caches', bytes: 1 }, four)).toBe('caches');
    expect(presetNote(four)).toBe('language 4-bit, embedding 8-bit, vision f16');
    const precision = { ...four.precision, connector: 'q4' } as const;
    expect(presetNote({ ...four, precision })).toMatch(/vision f16, resampler 4-bit$/);
  });
});
