/** Runs an evaluation in the browser, through the same worker that the page uses. Driven by `npm run evaluate`. */
import type { ToyQuestion } from '../../data/toy';
import type { SamplingSettings, Trace } from '../../worker/protocol';
import { comparePrecisions, type PrecisionOutcome, type PrecisionRequest } from './compare-precision';
import { EngineSession } from './engine-session';
import { isCorrect, isWellFormed, type Outcome } from './score';
import { blackVideo, chooseQuestions, toyVideo } from './toy-clips';

/** What the command line asks for. */
export interface EvaluationRequest {
  modelUrl: string;
  modelName: string;
  questions: number;
  seed: number;
}

declare global {
  interface Window {
    evaluateModel(request: EvaluationRequest): Promise<Outcome[]>;
    comparePrecisions(request: PrecisionRequest): Promise<PrecisionOutcome[]>;
    /** Set by the command line. */
    reportProgress?(done: number, total: number, outcome: Outcome): void;
    reportLine?(line: string): void;
  }
}

window.comparePrecisions = (request) => comparePrecisions(request, (line) => window.reportLine?.(line));

window.evaluateModel = async ({ modelUrl, modelName, questions, seed }) => {
  const engine = new EngineSession();
  await engine.loadModel(modelUrl, modelName);
  const outcomes: Outcome[] = [];
  const asked: { question: ToyQuestion; outcome: Outcome }[] = [];
  for (const { clipSeed, chosen } of chooseQuestions(questions)) {
    await engine.openVideo(await toyVideo(clipSeed), `toy-${clipSeed}.mp4`);
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
  await engine.openVideo(await blackVideo(), 'black.mp4');
  for (const { question, outcome } of asked) {
    outcome.blank = isCorrect((await ask(engine, question, 0, seed)).text, question.answer);
  }
  return outcomes;
};

function ask(
  engine: EngineSession,
  question: ToyQuestion,
  temperature: number,
  seed: number,
): Promise<Trace> {
  const settings: SamplingSettings = { temperature, top_k: 0, top_p: 1, max_new_tokens: 160, seed };
  return engine.ask({ text: question.question, options: question.options, reasoning: true }, settings);
}
