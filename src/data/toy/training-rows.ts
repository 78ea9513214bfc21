import { captionFrame } from './captions';
import { letterOf, makeSceneQuestions, objectName, type ToyFamily } from './questions';
import { ToyRng } from './rng';
import { cellAt, isVisible, type ToyScene } from './scene';
import { makeToyTrace, type ToyStyle } from './traces';
import {
  TOY_CELLS,
  TOY_COLOURS,
  TOY_DIRECTIONS,
  TOY_FRAMES,
  TOY_NO_DIRECTION,
  TOY_NUMBERS,
  TOY_SHAPES,
} from './vocabulary';

/** The instruction that ends every prompt of the original. */
export const TOY_INSTRUCTION =
  'Output the thinking process in <think> </think> and final answer (option) in <answer> </answer> tags.';

/** How many rows of which kind a clip gets in supervised training. */
export interface ToyRowPlan {
  /** Questions with traces. */
  questions?: number;
  /** Captions of single frames, or of one object in one frame. */
  captions?: number;
  /** Word sequences to repeat (text only). */
  copies?: number;
  /** Questions teach their answers alone, not their traces (text only). */
  answersOnly?: boolean;
  /** Option lists whose letters are to be named, all of them (text only). */
  lookups?: number;
  /** Share of each trace style; what is missing to 1 is `careful`. */
  styles?: Partial<Record<ToyStyle, number>>;
}

/** Options that captions seldom or never name: without extra practice they are looked up badly. */
const RARE_WORDS: readonly string[] = [...TOY_CELLS, ...TOY_NUMBERS, ...TOY_DIRECTIONS, TOY_NO_DIRECTION];

export interface ToyTrainingRow {
  kind: 'question' | 'caption' | 'copy' | 'lookup';
  family: ToyFamily | '';
  style: ToyStyle | '';
  /** The prompt after the video. */
  tail: string;
  /** What the model must say, in pieces: text and whether it is learned. */
  segments: { text: string; loss: boolean }[];
  answer: string;
}

function captionRow(scene: ToyScene, rng: ToyRng): ToyTrainingRow {
  let request: string;
  let text: string;
  const frame = rng.int(TOY_FRAMES);
  const seen = scene.objects.filter((o) => isVisible(o, frame) && o.changeFrame === TOY_FRAMES);
  if (seen.length > 0 && rng.chance(0.25)) {
    const object = rng.pick(seen);
    const name = objectName(object);
    request = `Where is the ${name} in frame ${frame + 1}?`;
    text = `In frame ${frame + 1} the ${name} is at ${TOY_CELLS[cellAt(object, frame)]}.`;
  } else {
    const withCells = rng.chance(0.6);
    const frames = rng.shuffle([...Array(TOY_FRAMES).keys()]).slice(0, 1 + rng.int(3));
    frames.sort((a, b) => a - b);
    request = `${withCells ? 'Describe' : 'List'} frames ${frames.map((f) => f + 1).join(', ')}.`;
    text = frames.map((f) => captionFrame(scene, f, withCells)).join(' ');
  }
  const segments = [{ text: ` ${text}`, loss: true }];
  return { kind: 'caption', family: '', style: '', tail: `\n${request} ASSISTANT:`, segments, answer: '' };
}

function copyRow(rng: ToyRng): ToyTrainingRow {
  const words: string[] = [];
  const length = 4 + rng.int(10);
  for (let i = 0; i < length; i++) {
    words.push(rng.pick(rng.chance(0.3) ? [...TOY_COLOURS, ...TOY_SHAPES] : RARE_WORDS));
  }
  const text = words.join(' ');
  const segments = [{ text: ` ${text}.`, loss: true }];
  return { kind: 'copy', family: '', style: '', tail: `\nRepeat: ${text}. ASSISTANT:`, segments, answer: '' };
}

function lettersOnly(segments: ToyTrainingRow['segments']): ToyTrainingRow['segments'] {
  const text = segments.map((s) => s.text).join('');
  const at = text.lastIndexOf('<answer>') + '<answer>'.length;
  return [
    { text: text.slice(0, at), loss: false },
    { text: text.slice(at), loss: true },
  ];
}

/** Names the letters of a question's options in another order: `blue square, B. red circle, A`. Only the letters count. */
function lookupRow(options: readonly string[], rng: ToyRng): ToyTrainingRow {
  const lettered = options.map((text, i) => ({ text, letter: letterOf(i) }));
  const list = lettered.map(({ letter, text }) => `${letter}. ${text}`).join('\n');
  const segments = rng.shuffle(lettered).flatMap(({ text, letter }, i) => [
    { text: `${i > 0 ? '. ' : ' '}${text},`, loss: false },
    { text: ` ${letter}`, loss: true },
  ]);
  const tail = `\nOptions:\n${list}\nASSISTANT:`;
  return { kind: 'lookup', family: '', style: '', tail, segments, answer: '' };
}

/** The rows of a scene. The same scene and plan give the same rows. */
export function makeTrainingRows(scene: ToyScene, plan: ToyRowPlan): ToyTrainingRow[] {
  const rng = new ToyRng(scene.seed + 0x72_0000_0000);
  const styles = Object.keys(plan.styles ?? {}) as ToyStyle[];
  const shares = styles.map((s) => plan.styles?.[s] ?? 0);
  const careful = 1 - shares.reduce((sum, s) => sum + s, 0);
  const rows: ToyTrainingRow[] = makeSceneQuestions(scene, plan.questions ?? 0).map((question) => {
    const style = [...styles, 'careful' as const][rng.weighted([...shares, careful])] as ToyStyle;
    const trace = makeToyTrace(question, style, rng);
    // The original joins the instruction by a space in training and by a newline in evaluation.
    const joiner = rng.chance(0.3) ? ' ' : '\n';
    const tail = `\n${question.problem}${joiner}${TOY_INSTRUCTION} ASSISTANT:`;
    const { answer } = trace;
    const segments = plan.answersOnly ? lettersOnly(trace.segments) : trace.segments;
    return { kind: 'question', family: question.family, style, tail, segments, answer };
  });
  for (let i = 0; i < (plan.captions ?? 0); i++) {
    // A share of one row: fractions are settled by chance.
    if (rng.chance((plan.captions as number) - i)) rows.push(captionRow(scene, rng));
  }
  for (let i = 0; i < (plan.copies ?? 0); i++) rows.push(copyRow(rng));
  for (let i = 0; i < (plan.lookups ?? 0); i++) {
    const mixed = rng.shuffle(RARE_WORDS).slice(0, 3 + rng.int(3));
    rows.push(lookupRow(rng.chance(0.7) ? mixed : rng.pick(makeSceneQuestions(scene, 5)).options, rng));
  }
  return rows;
}
