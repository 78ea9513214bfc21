import type { EngineClient } from '../engine-client';
import type { ExportedAdapter, ExportedModel, ExportedVideo } from './trace-document';

/** What an answer ran on, as it was when it was asked: model and video may be others by the time of an export. */
export interface AnswerContext {
  model: ExportedModel;
  adapter?: ExportedAdapter;
  video: ExportedVideo;
  /** The file that was asked about. */
  file: Blob;
}

/** Contexts by the id of the answer. */
export type AnswerContexts = ReadonlyMap<number, AnswerContext>;

/** Notes the context of every answer from here on. */
export function watchContexts(client: EngineClient): AnswerContexts {
  const contexts = new Map<number, AnswerContext>();
  client.store.subscribe(({ answers, model, gpu, video }, before) => {
    if (answers === before.answers || !video) return;
    const known = new Set(answers.map(({ id }) => id));
    for (const id of contexts.keys()) if (!known.has(id)) contexts.delete(id);
    const last = answers.at(-1);
    if (!last || contexts.has(last.id)) return;
    const { name: _, warning: __, truncation: ___, ...facts } = video.info ?? {};
    contexts.set(last.id, {
      model: { ...model.info, name: model.name },
      ...(gpu && !model.recorded
        ? {
            adapter: {
              vendor: gpu.adapter.vendor,
              architecture: gpu.adapter.architecture,
              description: gpu.adapter.description,
              isFallback: gpu.adapter.isFallback,
              f16: gpu.f16,
              subgroups: gpu.subgroups,
            },
          }
        : {}),
      video: {
        name: video.name,
        bytes: video.file.size,
        ...facts,
        sampling: video.sampling,
        ...(video.readMs === undefined ? {} : { readMs: video.readMs }),
        ...(video.encodeMs === undefined ? {} : { encodeMs: video.encodeMs }),
      },
      file: video.file,
    });
  });
  return contexts;
}
