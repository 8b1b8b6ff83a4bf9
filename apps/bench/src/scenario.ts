import type { Peers } from "./peers.ts";
import type { RedisLauncher } from "./redis-launcher.ts";
import type { RunTask } from "./run-task.ts";

/**
 * What a row stands for. `limit`: the physical limit that ratios refer to (a raw `Map`, a raw `GET`, a bare `node:http`). `control`: the
 * limit behind a bare wrapper, whose distance from the limit is the noise floor. `ours`: larder. `peer`: another library.
 */
export type Role = "limit" | "control" | "ours" | "peer";

/** Something measured several times. */
export interface MeasuredCell {
  readonly kind: "measured";
  /** Median over the rounds, in the column's unit. */
  readonly median: number;
  /** First quartile over the rounds. */
  readonly low: number;
  /** Third quartile over the rounds. */
  readonly high: number;
  /** Rounds behind the median; 1 = a single measurement, whose spread is unknown. */
  readonly samples: number;
  /** Median of the per-round ratios to the table's baseline row, in the same unit: 0.5 = half of its value. Absent without a baseline. */
  readonly ratio?: number;
  /** Whether the ratio lies inside the noise floor that the control row shows: neither faster nor slower than the baseline. */
  readonly isTie?: boolean;
  /** A remark on this one cell. */
  readonly note?: string;
}

/** An answer in words or a promise kept or broken. */
export interface TextCell {
  readonly kind: "text";
  readonly text: string;
  /** How it is to be read: `good` and `bad` are coloured, `neutral` is not. @default "neutral" */
  readonly verdict?: "good" | "bad" | "neutral";
}

/** A cell that has no value, and why. */
export interface MissingCell {
  readonly kind: "missing";
  /** One sentence, for example `has no TTL`. */
  readonly why: string;
}

export type Cell = MeasuredCell | TextCell | MissingCell;

/** One thing asked of every contender of a table. */
export interface Column {
  /** Stable across runs and releases: `bench compare` finds the cell by it. */
  readonly id: string;
  readonly title: string;
  /** For example `ops/s`, `ms`, `bytes/entry`, `%`; empty for text cells. */
  readonly unit: string;
  /** Which direction is progress. `none` for descriptions. */
  readonly better: "higher" | "lower" | "none";
}

/** One contender's line. */
export interface Row {
  /** Stable name, for example `larder MemoryCache` or `lru-cache`. */
  readonly contender: string;
  readonly role: Role;
  /** The version measured, for peers. */
  readonly version?: string;
  /** One cell for each column, by the column's id. A column without a cell is shown empty. */
  readonly cells: Readonly<Record<string, Cell>>;
  /** Why a contender behaves as it does, or the mode it was measured in. */
  readonly note?: string;
}

/** A contender that could not take part. */
export interface UnavailableContender {
  readonly contender: string;
  /** One sentence. */
  readonly why: string;
  /** What to install or to set to have it measured. */
  readonly install: string;
}

/** A figure that an issue or a document asks for, held against a measured cell. Only reported: no run fails on a time. */
export interface Target {
  readonly contender: string;
  readonly column: string;
  /** In words, for example `>= 0.97 of the control row`. */
  readonly text: string;
  readonly isMet: boolean;
}

/** Contenders side by side. */
export interface Table {
  /** Stable across runs and releases, unique in the scenario. */
  readonly id: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** The contender whose cells are the denominator of every `ratio`. Absent: no ratios. */
  readonly baseline?: string;
  readonly unavailable?: readonly UnavailableContender[];
  readonly targets?: readonly Target[];
  /** What a reader must know to read the table rightly. */
  readonly notes?: readonly string[];
}

/** One line or one set of bars of a plot. */
export interface Series {
  readonly name: string;
  readonly role?: Role;
  /** x and y; for bars x is the index into `labels`. */
  readonly points: ReadonlyArray<readonly [x: number, y: number]>;
}

/** A picture for the HTML report. */
export interface Plot {
  readonly id: string;
  readonly title: string;
  readonly kind: "line" | "bars";
  readonly xLabel: string;
  readonly yLabel: string;
  /** @default "linear" */
  readonly xScale?: "linear" | "log";
  /** @default "linear" */
  readonly yScale?: "linear" | "log";
  /** Names of the groups of bars, in the order of x. */
  readonly labels?: readonly string[];
  readonly series: readonly Series[];
}

/** What a scenario found. */
export interface ScenarioResult {
  readonly tables: readonly Table[];
  readonly plots?: readonly Plot[];
  readonly notes?: readonly string[];
}

/** Tells a person how far a scenario is. Cheap: call it once a round. */
export interface Progress {
  /** @param done share from 0 to 1 of this scenario @param label what runs now */
  update(done: number, label: string): void;
  /** A line that stays on the terminal, above the progress. */
  log(line: string): void;
}

/** What a scenario is given. */
export interface ScenarioContext {
  /** Small sizes and few rounds: seconds instead of minutes, and noisier. */
  readonly quick: boolean;
  /** Seed of everything random, so that a run can be repeated. */
  readonly seed: number;
  readonly progress: Progress;
  /** Aborted on Ctrl-C: loops ask it between rounds; `Peers`, tasks and servers end by themselves. */
  readonly signal: AbortSignal;
  /** Other libraries, installed on demand outside the workspace. */
  readonly peers: Peers;
  /** Runs one of the scenario's `tasks` in a process of its own. */
  readonly runTask: RunTask;
  /** Redis servers on 127.0.0.1, stopped at the end of the run. */
  readonly redis: RedisLauncher;
  /** A folder of `*.txt.gz` cache traces, from `--traces` or `../shared/traces`; `undefined`: none, use synthetic workloads and say so. */
  readonly tracesFolder: string | undefined;
  /** A request log for the gateway, from `--replay`; `undefined`: none. */
  readonly replayFile?: string | undefined;
  /** Schedules for the simulator, from `--schedules`; `undefined`: the scenario's own choice. */
  readonly schedules: number | undefined;
  /** Minutes of the soaks, from `--soak`; `undefined`: the scenario's own choice. */
  readonly soakMinutes?: number | undefined;
}

/** A part of a scenario that runs in a process of its own: heap measurements, load generators, members of a fleet. Input and output are JSON. */
export type Task = (input: unknown, task: TaskContext) => unknown;

/** What a task in its own process is given. */
export interface TaskContext {
  /** Aborted when the parent goes away or asks to stop. */
  readonly signal: AbortSignal;
  /** Sends JSON to the parent's `onMessage` before the result. */
  send(message: unknown): void;
  /** Calls back for each message of the parent; those sent before the first call are kept. */
  onMessage(listener: (message: unknown) => void): void;
}

/** One thing the bench can measure: a file in `scenarios/`, listed in `scenarios/index.ts`. */
export interface Scenario {
  /** The word on the command line. */
  readonly name: string;
  readonly title: string;
  /** One or two sentences for `--help` and the report: what is measured and against which limit. */
  readonly describe: string;
  /** What must be there for it to run at all. Checked before `run`; when it is missing the scenario says so and what to install. */
  readonly needs?: ReadonlyArray<"redis">;
  readonly tasks?: Readonly<Record<string, Task>>;
  run(context: ScenarioContext): Promise<ScenarioResult>;
}

/** Thrown by a scenario that cannot run here: becomes a line in the report and no failure of the bench. */
export class ScenarioUnavailable extends Error {
  /** What to install or to set. */
  readonly install: string;

  constructor(why: string, install: string) {
    super(why);
    this.name = "ScenarioUnavailable";
    this.install = install;
  }
}
