/** Runs an evaluation in the browser, through the same worker that the page uses. Driven by `npm run evaluate`. */
import {
  HELD_OUT_SEED_START,
  makeToyClip,
  makeToyQuestions,
  renderToyFrames,
  TOY_FAMILIES,
  type ToyQuestion,
} from '../../data/toy';
import { encodeMp4 } from '../../video/encode-mp4';
import type { SamplingSettings, Trace } from '../../worker/protocol';
import { EngineSession } from './engine-session';
import { isCorrect, isWellFormed, type Outcome } from './score';

/** What the command line asks for. */
export interface EvaluationRequest {
  modelUrl: string;
  modelName: string;
  questions: number;
  seed: number;
}

/** Edge of the encoded clips, pixels: larger than the model's input, as real videos are. */
const CLIP_SIZE = 256;
const FRAMES_PER_SECOND = 4;
const QUESTIONS_PER_CLIP = 2;

declare global {
  interface Window {
    evaluateModel(request: EvaluationRequest): Promise<Outcome[]>;
    /** Set by the command line. */
    reportProgress?(done: number, total: number, outcome: Outcome): void;
  }
}

window.evaluateModel = async ({ modelUrl, modelName, questions, seed }) => {
  const engine = new EngineSession();
  await engine.loadModel(modelUrl, modelName);
  const outcomes: Outcome[] = [];
  const asked: { question: ToyQuestion; outcome: Outcome }[] = [];
  for (const { clipSeed, chosen } of chooseQuestions(questions)) {
    const frames = renderToyFrames(makeToyClip(clipSeed), { size: CLIP_SIZE });
    await engine.openVideo(await clip(frames), `toy-${clipSeed}.mp4`);
    for (const question of chosen) {
      const greedy = await ask(engine, question, 0, seed);
      const sampled = await ask(engine, question, 1, seed + outcomes.length);
      const outcome: Outcome = {
        family: question.family,
        greedy: isCorrect(greedy.text, question.answer),
        sampled: isCorrect(sampled.text, question.answer),
        blank: false,
        wellFormed: Number(isWellFormed(greedy)) + Number(isWellFormed(sampled)),
      };
      outcomes.push(outcome);
      asked.push({ question, outcome });
      window.reportProgress?.(outcomes.length, questions, outcome);
    }
  }
  // The same questions about black frames: what is right here was guessed from the text alone.
  const black = Array.from({ length: 8 }, () => new Uint8Array(CLIP_SIZE * CLIP_SIZE * 3));
  await engine.openVideo(await clip(black), 'black.mp4');
  for (const { question, outcome } of asked) {
    outcome.blank = isCorrect((await ask(engine, question, 0, seed)).text, question.answer);
  }
  return outcomes;
};

/** Held-out clips and questions, each family as often as the others (up to one). */
function chooseQuestions(count: number): { clipSeed: number; chosen: ToyQuestion[] }[] {
  const quota = new Map(TOY_FAMILIES.map((family) => [family, 0]));
  const out: { clipSeed: number; chosen: ToyQuestion[] }[] = [];
  let total = 0;
  for (let clipSeed = HELD_OUT_SEED_START; total < count; clipSeed++) {
    const level = Math.min(...quota.values());
    const chosen = makeToyQuestions(makeToyClip(clipSeed), 8)
      .filter((question) => quota.get(question.family) === level)
      .slice(0, Math.min(QUESTIONS_PER_CLIP, count - total));
    for (const { family } of chosen) quota.set(family, quota.get(family)! + 1);
    total += chosen.length;
    if (chosen.length > 0) out.push({ clipSeed, chosen });
  }
  return out;
}

function clip(frames: Uint8Array[]): Promise<Blob> {
  return encodeMp4(
    frames.map((data) => ({ width: CLIP_SIZE, height: CLIP_SIZE, data })),
    FRAMES_PER_SECOND,
  );
}

function ask(
  engine: EngineSession,
  question: ToyQuestion,
  temperature: number,
  seed: number,
): Promise<Trace> {
  const settings: SamplingSettings = { temperature, top_k: 0, top_p: 1, max_new_tokens: 160, seed };
  return engine.ask({ text: question.question, options: question.options, reasoning: true }, settings);
}
