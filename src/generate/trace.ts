import type { TextSpan, TracePhase } from './trace-parts';

/** Why a sentence is marked. */
export interface AhaMark {
  /** The model checks itself, or its conclusion becomes another one. */
  kind: 'checks' | 'corrects';
  /** Name of the text rule (see `AHA_RULES`); `conclusion-changes` for 'corrects'. */
  rule: string;
  /** A few words: "checks itself", "left → down". */
  label: string;
  /** One line for the user: why the sentence is marked. */
  explanation?: string;
}

/** A sentence of the think trace. Tokens `[start, end)` of the answer make it up. */
export interface TraceSentence {
  text: string;
  start: number;
  end: number;
  /** Set where the model checks or corrects itself. */
  aha?: AhaMark;
}

/** An answer's text, taken apart. */
export interface Trace {
  phase: TracePhase;
  /** Whole decoded text so far, as it came. */
  text: string;
  sentences: TraceSentence[];
  /** Text inside `<answer>`, stripped; undefined until the tag has come. */
  answer?: string;
  /** Sentences on what is malformed. */
  problems: string[];
}

/** A sentence as the parser sees it. */
export interface ParsedSentence extends TraceSentence, TextSpan {
  /** False while the sentence may still grow; only complete ones are marked. */
  complete: boolean;
  aha?: Required<AhaMark>;
}

/** A trace with all that is outside of its tags: of a malformed one nothing is lost. */
export interface ParsedTrace extends Trace {
  sentences: ParsedSentence[];
  /** Text inside `<think>`, stripped; '' where there is none. */
  think: string;
  /** Text before `<think>`, between the two parts, and after `</answer>`, stripped. */
  before: string;
  between: string;
  after: string;
}
