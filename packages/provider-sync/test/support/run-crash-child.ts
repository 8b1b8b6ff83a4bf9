import { fork } from "node:child_process";
import { once } from "node:events";

/** Where a sync in a child process dies. */
export interface CrashPlan {
  readonly address: string;
  readonly redisUrl: string;
  readonly keyPrefix: string;
  /** Models and input price that its source tells. */
  readonly models: number;
  readonly price: number;
  readonly dieAt?: "before-commit" | "after-commit" | "before-mirror" | "before-mirror-write" | "during-mirror-write" | "after-mirror";
  /** Dies before this statement of the commit's transaction. */
  readonly dieBeforeStatement?: number;
}

/** Runs the child to its end. @returns the signal that ended it, or `undefined` and what it told when it lived */
export async function runCrashChild(
  bundle: string,
  plan: CrashPlan,
): Promise<{ readonly signal: string | undefined; readonly told: unknown }> {
  const child = fork(bundle, [JSON.stringify(plan)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  let told: unknown;
  child.on("message", (message) => {
    told = message;
  });
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  if (code !== null && code !== 0) throw new Error(`the child failed with exit code ${code}`);
  return { signal: signal ?? undefined, told };
}
