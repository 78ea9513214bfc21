import { RECORDED_ROWS } from './block-graph';

/** Which dense backend runs a block at some numbers of rows, and why. */
export interface BackendChoice {
  /** Name of the graph: "qwen2 layer". */
  graph: string;
  /** Rows up to which it holds; null: any number beyond. */
  rows: number | null;
  backend: 'ort' | 'wgsl';
  /** A sentence for the user. */
  why: string;
  /** Milliseconds of a run, where both were measured. */
  ort_ms?: number;
  wgsl_ms?: number;
}

/**
 * How many times faster the runtime has to be for few rows: our kernels are then issued from the recording of a whole
 * step, in one submit, unless one graph of the step is the runtime's.
 */
const FEW_ROWS_MARGIN = 1.5;

/** Numbers of rows that are measured together: a backend may win for few rows and lose for many. */
const ROW_CLASSES = [1, 4, 16, 64, 256, 1024];

/** The upper end of a number of rows' class; null beyond the last. */
export function rowClass(rows: number): number | null {
  return ROW_CLASSES.find((limit) => rows <= limit) ?? null;
}

/** Measurements by graph and class of rows. `initial` are those of earlier visits on the same adapter. */
export class BackendChoices {
  private readonly measured = new Map<string, BackendChoice>();
  private readonly fixed = new Map<string, BackendChoice>();

  constructor(
    initial: readonly BackendChoice[] = [],
    /** Told of all choices whenever one is added. */
    private readonly onChange: (choices: readonly BackendChoice[]) => void = () => {},
  ) {
    for (const choice of initial) this.measured.set(key(choice.graph, choice.rows), choice);
  }

  /** What was measured for a graph at a number of rows. */
  find(graph: string, rows: number): BackendChoice | undefined {
    return this.measured.get(key(graph, rowClass(rows)));
  }

  /** Takes a measurement. The faster one runs from now on: of few rows, the runtime where it is much faster. */
  measure(graph: string, rows: number, ort_ms: number, wgsl_ms: number): BackendChoice {
    const margin = rows <= RECORDED_ROWS ? FEW_ROWS_MARGIN : 1;
    const backend = ort_ms * margin < wgsl_ms ? 'ort' : 'wgsl';
    const [own, other] = backend === 'ort' ? [ort_ms, wgsl_ms] : [wgsl_ms, ort_ms];
    const slower = own > other ? ` That has to be ${margin} times faster to end the recording of steps.` : '';
    const choice: BackendChoice = {
      graph,
      rows: rowClass(rows),
      backend,
      why: `Measured here: ${own.toFixed(2)} ms against ${other.toFixed(2)} ms of the other.${slower}`,
      ort_ms,
      wgsl_ms,
    };
    this.measured.set(key(graph, choice.rows), choice);
    this.onChange(this.list());
    return choice;
  }

  /** Takes note of a backend that no measurement chose. */
  note(graph: string, backend: 'ort' | 'wgsl', why: string): void {
    if (this.fixed.has(graph)) return;
    this.fixed.set(graph, { graph, rows: null, backend, why });
    this.onChange(this.list());
  }

  /** What is worth remembering. */
  measurements(): BackendChoice[] {
    return [...this.measured.values()];
  }

  /** All choices: those that no measurement made first. */
  list(): BackendChoice[] {
    return [...this.fixed.values(), ...this.measured.values()];
  }
}

function key(graph: string, rows: number | null): string {
  return `${graph} ${rows}`;
}
