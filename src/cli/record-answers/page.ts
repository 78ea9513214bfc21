/** Records answers about the sample clips, through the worker that the page uses. Driven by `npm run record-answers`. */

import { parseSamples, type Sample, type SampleQuestion } from '../../app/ask/sample-list';
import {
  type ExportedAdapter,
  type ExportedSample,
  exportToken,
  roundTo,
  TRACE_FORMAT,
  TRACE_VERSION,
  type TraceDocument,
} from '../../app/export/trace-document';
import { hashFile } from '../../app/recorded/hash-file';
import { DEFAULT_DRAFT, LETTERS } from '../../app/store/draft';
import type { EngineEvent, ModelInfo, SamplingSettings, VideoInfo } from '../../worker/protocol';
import { EngineSession } from '../evaluate/engine-session';

declare global {
  interface Window {
    recordAnswers(request: RecordRequest): Promise<TraceDocument[]>;
    /** Set by the command line. */
    reportRecording?(line: string): void;
  }
}

/** What the command line asks for. */
export interface RecordRequest {
  modelUrl: string;
  modelName: string;
  samplesUrl: string;
  /** Seeds that are tried at most, until an answer has an aha moment. */
  seeds: number;
}

/** Answers of the group that is recorded. */
const GROUP = 4;
/** The recordings stay small: so many alternatives a token, so many significant digits. */
const ALTERNATIVES = 4;
const DIGITS = 4;

interface OpenClip {
  sample: Sample;
  hash: string;
  bytes: number;
  info: VideoInfo;
  readMs: number;
  encodeMs: number;
}

window.recordAnswers = async ({ modelUrl, modelName, samplesUrl, seeds }) => {
  const samples = parseSamples(await (await fetch(`${samplesUrl}index.json`)).json(), samplesUrl);
  const recorder = await Recorder.start(modelUrl, modelName);
  const documents: TraceDocument[] = [];
  const add = (document: TraceDocument) => {
    documents.push(document);
    const aha = hasAha(document) ? ', with an aha moment' : '';
    window.reportRecording?.(
      `${document.video.name}: ${document.question.text} (${document.samples.length}${aha})`,
    );
  };
  const { settings } = DEFAULT_DRAFT;
  for (const [index, sample] of samples.entries()) {
    await recorder.open(sample);
    const first = sample.questions[0];
    if (!first) continue;
    add(await recorder.ask(first, settings, 1));
    if (index === 0) add(await recorder.ask(first, settings, GROUP));
  }
  // One single answer that checks itself.
  const alone = (document: TraceDocument) => document.samples.length === 1 && hasAha(document);
  for (let seed = settings.seed + 1; !documents.some(alone); seed++) {
    if (seed > settings.seed + seeds) throw new Error(`No answer of ${seeds} seeds had an aha moment.`);
    for (const sample of samples) {
      await recorder.open(sample);
      const document = await recorder.ask(sample.questions[0]!, { ...settings, seed }, 1);
      if (!hasAha(document)) continue;
      add(document);
      break;
    }
  }
  return documents;
};

function hasAha(document: TraceDocument): boolean {
  return document.samples.some(({ trace }) => trace.sentences.some((sentence) => sentence.aha));
}

class Recorder {
  private clip: OpenClip | undefined;

  private constructor(
    private readonly engine: EngineSession,
    private readonly model: ModelInfo,
    private readonly adapter: ExportedAdapter | undefined,
  ) {}

  static async start(url: string, name: string): Promise<Recorder> {
    const engine = new EngineSession();
    let adapter: ExportedAdapter | undefined;
    const { model } = await engine.request(
      { type: 'load-model', source: { kind: 'url', url }, name },
      'model-ready',
      (event) => {
        if (event.type !== 'gpu') return;
        const { vendor, architecture, description, isFallback } = event.adapter;
        adapter = {
          vendor,
          architecture,
          description,
          isFallback,
          f16: event.f16,
          subgroups: event.subgroups,
        };
      },
    );
    return new Recorder(engine, model, adapter);
  }

  /** Opens a clip, unless it is open. */
  async open(sample: Sample): Promise<void> {
    if (this.clip?.sample === sample) return;
    const file = await (await fetch(sample.url!)).blob();
    let info: VideoInfo | undefined;
    const { readMs, encodeMs } = await this.engine.request(
      { type: 'open-video', file, name: sample.fileName },
      'video-ready',
      (event) => {
        if (event.type === 'video-info') info = event.video;
      },
    );
    const hash = await hashFile(file);
    this.clip = { sample, hash, bytes: file.size, info: info!, readMs, encodeMs };
  }

  /** Asks about the open clip. */
  async ask(
    sampleQuestion: SampleQuestion,
    settings: SamplingSettings,
    num_generations: number,
  ): Promise<TraceDocument> {
    const clip = this.clip!;
    const question = { text: sampleQuestion.question, options: sampleQuestion.options, reasoning: true };
    const label = LETTERS[sampleQuestion.label];
    const samples: ExportedSample[] = Array.from({ length: num_generations }, () => ({
      trace: { phase: 'before', text: '', sentences: [], problems: [] },
      tokens: [],
    }));
    let promptTokens = 0;
    const collect = (event: EngineEvent) => {
      if (event.type === 'ask-started') promptTokens = event.promptTokens;
      if (event.type === 'tokens')
        samples[event.sample]!.tokens.push(
          ...event.tokens.map((token) => exportToken(token, DIGITS, ALTERNATIVES)),
        );
      if (event.type === 'answered') {
        const { trace, stats, reason, reward } = event;
        Object.assign(samples[event.sample]!, {
          reason,
          trace: publicTrace(trace),
          stats: rounded(stats),
          ...(reward ? { reward } : {}),
        });
      }
    };
    const { group } = await this.engine.request(
      { type: 'ask', question, settings, num_generations, ...(label ? { label } : {}) },
      'ask-done',
      collect,
    );
    const { name: _, warning: __, truncation: ___, ...facts } = clip.info;
    return {
      format: TRACE_FORMAT,
      version: TRACE_VERSION,
      created: new Date().toISOString(),
      model: { ...this.model },
      ...(this.adapter ? { adapter: this.adapter } : {}),
      video: {
        name: clip.sample.fileName,
        bytes: clip.bytes,
        hash: clip.hash,
        ...facts,
        sampling: 'uniform',
        sampledTimes: facts.sampledTimes.map((time) => roundTo(time, 6)),
        readMs: Math.round(clip.readMs),
        encodeMs: Math.round(clip.encodeMs),
      },
      question,
      ...(label ? { label } : {}),
      settings,
      promptTokens,
      samples,
      ...(num_generations > 1 ? { group: rounded(group) } : {}),
    };
  }
}

/** The trace without what only the parser needs. */
function publicTrace({ phase, text, sentences, answer, problems }: TraceDocument['samples'][0]['trace']) {
  return {
    phase,
    text,
    sentences: sentences.map(({ text: words, start, end, aha }) => ({
      text: words,
      start,
      end,
      ...(aha ? { aha } : {}),
    })),
    ...(answer === undefined ? {} : { answer }),
    problems,
  };
}

/** The numbers of an object with six significant digits. */
function rounded<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]: [string, unknown]) => [
      name,
      typeof entry === 'number' ? roundTo(entry, 6) : entry,
    ]),
  ) as T;
}
