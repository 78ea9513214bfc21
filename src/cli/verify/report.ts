/** How far one stage of the port is from its recorded reference. */
export interface StageResult {
  name: string;
  /** Largest absolute difference; of stages that compare texts or ids, how many differ. */
  max_abs: number;
  /**
   * `max_abs` by the largest absolute reference value (or the stage's unit, where that is larger); of texts or ids, the
   * share that differs.
   */
  max_rel: number;
  /** What `max_rel` may be. 0: must be equal. */
  tolerance: number;
  ok: boolean;
}

/** What `verify --json` prints. */
export interface VerifyReport {
  ok: boolean;
  stages: StageResult[];
}

/** Of f32 stages, relative to the stage's largest value: f32's own noise is a tenth of it. */
export const F32_TOLERANCE = 2e-5;

/** JSON has no Infinity: what is not comparable (another length, NaN) counts as this. */
const INCOMPARABLE = Number.MAX_VALUE;

/** Compares arrays that come in parts. */
export class ErrorMeter {
  private worst = 0;
  private largest: number;
  private count = 0;

  /** `unit` stands in for a largest reference value below it: what cancels to zero is wrong by its terms' rounding. */
  constructor(unit = 0) {
    this.largest = unit;
  }

  /** Adds values and their references, in order. */
  add(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    if (actual.length !== expected.length) this.worst = INCOMPARABLE;
    this.count += expected.length;
    const n = Math.min(actual.length, expected.length);
    for (let i = 0; i < n; i++) {
      const difference = Math.abs(actual[i]! - expected[i]!);
      // NaN is never smaller, so it does not get lost.
      if (!(difference <= this.worst)) this.worst = Number.isFinite(difference) ? difference : INCOMPARABLE;
      const size = Math.abs(expected[i]!);
      if (size > this.largest) this.largest = size;
    }
  }

  /** The result; a stage without values is a failure. */
  result(name: string, tolerance: number): StageResult {
    const max_abs = this.count === 0 ? INCOMPARABLE : this.worst;
    const max_rel =
      max_abs === 0 ? 0 : this.largest > 0 && max_abs < INCOMPARABLE ? max_abs / this.largest : INCOMPARABLE;
    return { name, max_abs, max_rel, tolerance, ok: max_rel <= tolerance };
  }
}

/** Collects stages and notes. `onStage` and `onNote` show them as they come. */
export class StageList {
  readonly stages: StageResult[] = [];
  readonly notes: string[] = [];

  constructor(
    private readonly onStage: (stage: StageResult) => void = () => {},
    private readonly onNote: (note: string) => void = () => {},
  ) {}

  add(stage: StageResult): void {
    this.stages.push(stage);
    this.onStage(stage);
  }

  /** A stage of numbers; `tolerance` 0 asks for equality. `unit`: see `ErrorMeter`. */
  compare(
    name: string,
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    tolerance = F32_TOLERANCE,
    unit = 0,
  ): void {
    const meter = new ErrorMeter(unit);
    meter.add(actual, expected);
    this.add(meter.result(name, tolerance));
  }

  /** A stage that counts how many of some things differ. */
  count(name: string, wrong: number, of: number): void {
    const max_rel = of > 0 ? wrong / of : INCOMPARABLE;
    this.add({ name, max_abs: wrong, max_rel, tolerance: 0, ok: max_rel === 0 });
  }

  /** A stage that compares two lists of ids, place by place. */
  ids(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    const length = Math.max(actual.length, expected.length);
    let wrong = 0;
    for (let i = 0; i < length; i++) if (actual[i] !== expected[i]) wrong += 1;
    this.count(name, wrong, length);
  }

  note(text: string): void {
    this.notes.push(text);
    this.onNote(text);
  }

  report(): VerifyReport {
    return { ok: this.stages.length > 0 && this.stages.every((stage) => stage.ok), stages: this.stages };
  }
}
