/**
 * The messages about training between the page and the engine's worker, beside those of protocol.ts on the same port.
 * A run belongs to the engine, which keeps it on disk (OPFS): the page holds no state of it that cannot be asked for
 * again. Errors are `error` events of the scope `train`.
 */
import type { DataProblem } from '../data/question-file';
import type { SamplingSettings } from '../generate/settings';
import type { Trace } from '../generate/trace';
import type { CompletionRow } from '../grpo/completion-row';
import type { GrpoConfig } from '../grpo/grpo-config';
import type { MemoryPlan } from '../grpo/memory-plan';
import type { RewardSetting } from '../grpo/rewards/reward-setting';
import type { LoraConfig } from '../lora/lora-config';

/** What a form needs: the settings with their explanations, what is wrong with given ones, and the presets. */
export {
  COLD_START_FIELDS,
  CONFIG_FIELDS,
  type ConfigField,
  type ConfigProblems,
  configProblems,
} from '../grpo/config-fields';
export { TINYLLAVA_VIDEO_R1, TOY, TRL } from '../grpo/grpo-config';
export type { CompletionRow, DataProblem, GrpoConfig, LoraConfig, MemoryPlan, RewardSetting };

/** A question that the user wrote about a clip of their own. */
export interface OwnQuestion {
  /** `question\nOptions:\nA. …`, as in the original's files. */
  problem: string;
  /** The right option's letter. */
  label: string;
  clip: Blob;
  video_filename: string;
}

/** The files of a folder that the user chose. */
export interface VideoFolder {
  videos: readonly File[];
  /** Where each lies within the folder; without them files are known by what `webkitRelativePath` says. */
  paths?: readonly string[];
  /** The folder's name. */
  folder?: string;
}

/** Where a run's questions come from. */
export type TrainingData =
  /** The toy world: never runs out, and has held-out seeds. */
  | { kind: 'toy' }
  /** A JSONL file in the original's format (`problem`, `solution`, `video_filename`) and the videos it names. */
  | ({ kind: 'files'; name: string; questions: Blob } & VideoFolder)
  | { kind: 'own'; questions: readonly OwnQuestion[] };

/** What a run would have to work with. */
export interface DataReport {
  /** Lines that can be used. */
  usable: number;
  total: number;
  /** At most 200; `problem_count` is all of them. */
  problems: DataProblem[];
  problem_count: number;
  /** Questions kept apart for the held-out accuracy. */
  held_out: number;
  /** The longest question, by characters: what a prompt takes at most. Undefined where none is known. */
  longest?: string | undefined;
  /** They are traces to imitate: for the cold start alone. */
  traces?: true;
}

/** What of the data decides a run's memory. */
export type PlannedData = Pick<DataReport, 'longest' | 'held_out'>;

/** All that defines a run. It is kept with the run, and written into exports. */
export interface RunConfig {
  /** What the steps do: GRPO, or the paper's first stage (cross-entropy on given traces). */
  stage: 'grpo' | 'cold-start';
  grpo: GrpoConfig;
  lora: LoraConfig;
  rewards: RewardSetting[];
  /** Thoughts of this many characters get the whole length reward. */
  max_length_reward: number;
  /** Held-out questions of each check; 0 leaves them out. */
  eval_questions: number;
  /** A check every so many steps, besides before and after. 0: only those. */
  eval_steps: number;
  /** A checkpoint every so many steps. */
  save_steps: number;
  /** Pause and say so above this KL. 0: never. */
  kl_limit: number;
}

/** Settings that may change while a run goes on, or is paused. */
export interface LiveSettings {
  learning_rate?: number;
  beta?: number;
  max_steps?: number;
}

export type RunState = 'compiling' | 'running' | 'paused' | 'stopped' | 'done' | 'failed';

/** A line of the list of runs. */
export interface RunSummary {
  run: string;
  name: string;
  stage: RunConfig['stage'];
  model: string;
  data: TrainingData['kind'];
  /** The folder that its videos are in, where they are not kept with the run. */
  folder?: string;
  state: RunState;
  /** Steps done, and the last one saved. */
  step: number;
  saved_step: number;
  max_steps: number;
  /** Of the last steps (mean of up to 10). */
  reward?: number;
  /** Sampled held-out accuracy, the last one measured. */
  eval_accuracy?: number;
  created: number;
  /** Bytes on disk. */
  bytes: number;
  /** Its settings as they are now, to say in what runs differ. */
  config: RunConfig;
}

/** A step's line of the log: TRL's keys (`reward`, `rewards/{function}/mean`, ...) and numbers. */
export type StepLine = { step: number } & Record<string, number>;

/** A check on the held-out questions. */
export interface EvalLine {
  step: number;
  questions: number;
  /** Accuracy of a blind guess: the mean of 1 / options. Left out where a question has no options. */
  chance?: number;
  accuracy_sampled: number;
  accuracy_greedy: number;
  format_rate: number;
  self_check_rate: number;
  /**
   * Of the answers that check themselves and conclude something before: right by the first conclusion, and by the
   * answer. Left out where there are none.
   */
  checked_right_before?: number;
  checked_right_after?: number;
}

/** Something that happened in a run. */
export interface RunEvent {
  step: number;
  code:
    | 'started'
    | 'saved'
    | 'eval'
    | 'paused'
    | 'resumed'
    | 'stopped'
    | 'done'
    | 'device-lost'
    | 'reward-failed'
    | 'kl-high'
    /** The GPU has no room for a step; the run was paused. */
    | 'out-of-memory'
    | 'update-skipped'
    /** A question was left out, and the next one took its place: its video cannot be read, or the user said so. */
    | 'question-skipped'
    | 'went-back'
    | 'changed'
    /** Something could not be written; the run goes on, or was paused. */
    | 'storage-full';
  /** A few words. */
  text: string;
  time: number;
}

/** Files that a run can give. */
export type RunExport =
  | 'adapter'
  | 'metrics-jsonl'
  | 'metrics-csv'
  | 'completions-jsonl'
  | 'trl'
  /** The user's own questions and clips, in the format that `files` takes. */
  | 'questions';

/** An adapter that answers can use. */
export interface AdapterInfo {
  /** '' is the base. */
  adapter: string;
  name: string;
  r: number;
  target_modules: readonly string[];
  /** The run and step that it came from. */
  run?: string;
  step?: number;
}

/** What an answer that has ended got, while others of its group are still written. */
export interface LiveScore extends Pick<CompletionRow, 'answer' | 'terminated' | 'reward' | 'rewards'> {
  /** Among the answers that have ended so far: it changes with each. None of one alone. */
  advantage?: number;
}

/** Page -> engine. */
export type TrainingRequest =
  /** Checks data before a run starts -> `data-report`. */
  | { type: 'check-data'; id: number; data: TrainingData }
  /** Says what a run would take, of questions of a usual length where no `data` are known -> `memory-plan`. */
  | { type: 'plan-memory'; id: number; config: RunConfig; data?: PlannedData }
  /** Starts a run with the model that is loaded -> `run-started`. Answering waits until it is paused. */
  | { type: 'start-run'; id: number; name: string; config: RunConfig; data: TrainingData }
  /**
   * Goes on from a run's last checkpoint (or `step`) -> `run-started`. The videos of `files` are not kept with a run:
   * they come again where this engine does not have them any more. `skip_question` leaves out the question that a reward failed on;
   * `reward_code` is the user's own reward from now on, and `settings` hold from the first step on.
   */
  | {
      type: 'resume-run';
      id: number;
      run: string;
      step?: number;
      videos?: VideoFolder;
      skip_question?: boolean;
      reward_code?: string;
      settings?: LiveSettings;
    }
  /** Ends after the answers being written are dropped, with a checkpoint; the GPU is free then. */
  | { type: 'pause-run' }
  /** As pause, and the run does not go on. */
  | { type: 'stop-run' }
  | { type: 'save-run' }
  | { type: 'change-run'; settings: LiveSettings }
  /**
   * The page's answer to `score-answers`: scores, or what went wrong. Where it was the function itself, its name and the
   * places of the answers that it failed on come too, and `error` goes on after the name (`threw "..."`).
   */
  | {
      type: 'scores';
      call: number;
      scores?: number[];
      error?: string;
      reward?: string;
      failed?: readonly number[];
    }
  /** -> `runs`, as do `rename-run` and `delete-run`. */
  | { type: 'list-runs'; id: number }
  /** All that is known of a run -> `run-data`. */
  | { type: 'read-run'; id: number; run: string }
  | { type: 'rename-run'; id: number; run: string; name: string }
  | { type: 'delete-run'; id: number; run: string }
  /** -> `run-files`. */
  | { type: 'export-run'; id: number; run: string; what: RunExport }
  /** Loads an adapter beside the base -> `adapters`: a run's last checkpoint, or PEFT's two files. */
  | { type: 'load-adapter'; id: number; from: { run: string } | { files: readonly File[]; name: string } }
  | { type: 'unload-adapter'; id: number; adapter: string };

/** Engine -> page. */
export type TrainingEvent =
  | { type: 'data-report'; id: number; report: DataReport }
  | { type: 'memory-plan'; id: number; plan: MemoryPlan }
  | { type: 'run-started'; id: number; run: RunSummary; config: RunConfig }
  /** `detail`: "compiling shaders"; `message` where it failed or paused by itself. */
  | {
      type: 'run-state';
      run: string;
      state: RunState;
      step: number;
      detail?: string;
      message?: string;
      /** Where it paused for want of GPU memory: settings of a run that would fit, each alone enough. */
      suggestions?: MemoryPlan['suggestions'];
    }
  /** A group begins: its question. */
  | {
      type: 'group-started';
      run: string;
      step: number;
      question: number;
      prompt: string;
      solution: string;
      settings: SamplingSettings;
      num_generations: number;
    }
  /**
   * The traces of a group so far, at most some times a second. `scored` comes as an answer ends, but not where the
   * user's own reward counts: that one is asked for whole groups.
   */
  | {
      type: 'group-traces';
      run: string;
      question: number;
      answers: { sample: number; trace: Trace; tokens: number; done: boolean; scored?: LiveScore }[];
    }
  /** A group is scored. */
  | { type: 'group-scored'; run: string; question: number; rows: CompletionRow[] }
  | { type: 'run-step'; run: string; line: StepLine }
  | { type: 'run-eval'; run: string; line: EvalLine }
  | { type: 'run-event'; run: string; event: RunEvent }
  /** Progress inside a step, or of a check: "answers 3 of 8", for the line under the run's name. */
  | { type: 'run-progress'; run: string; label: string; done: number; total: number }
  /** Ask the page's sandbox for scores; it replies with `scores` of the same `call`. */
  | {
      type: 'score-answers';
      call: number;
      code: string;
      answers: { text: string; problem: string; solution: string; tokens: number }[];
    }
  | { type: 'runs'; id: number; runs: RunSummary[] }
  /** Another tab has written to a run: what is known of the runs is out of date. */
  | { type: 'runs-changed' }
  | {
      type: 'run-data';
      id: number;
      run: RunSummary;
      config: RunConfig;
      lines: StepLine[];
      evals: EvalLine[];
      events: RunEvent[];
      completions: CompletionRow[];
      /** Steps that can be gone back to. */
      checkpoints: number[];
    }
  | { type: 'run-files'; id: number; run: string; what: RunExport; files: { name: string; blob: Blob }[] }
  | { type: 'adapters'; id: number; adapters: AdapterInfo[] };
