/** How a task's process is started. */
export interface TaskOptions {
  /** Flags of node, for example `["--expose-gc"]`. @default none */
  readonly execArgv?: readonly string[];
  /** Environment in addition to this process's. @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds > 0 after which the process is killed and the task rejects. @default 120000 */
  readonly timeoutMs?: number;
  /** Whether what the process prints is thrown away: for tasks that make trouble on purpose. @default false */
  readonly isQuiet?: boolean;
  /** Called for each message the task sends before its result. @default nobody: they are dropped */
  readonly onMessage?: (message: unknown) => void;
}

/** A task that runs in its own process. */
export interface RunningTask<T> {
  /** What the task returned. Rejects when it throws, dies or takes too long. */
  readonly result: Promise<T>;
  readonly pid: number;
  /** Hands JSON to the task. */
  send(message: unknown): void;
  /** Asks the task to stop, then kills it. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Starts the scenario's task of that name in a process of its own. The result is plain JSON: its type is the caller's word. */
export type RunTask = <T>(task: string, input: unknown, options?: TaskOptions) => RunningTask<T>;
