import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

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

/** Node 20 runs no TypeScript: the child is bundled from the sources, beside the packages that it leaves out. */
export async function bundleCrashChild(): Promise<string> {
  const packageFolder = join(import.meta.dirname, "../..");
  const { build } = createRequire(join(packageFolder, "../../package.json"))("esbuild") as typeof import("esbuild");
  const folder = join(packageFolder, "node_modules/.cache");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `crash-child-${process.pid}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, "crash-child.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@larder/source"],
    external: ["libsql", "ioredis", "postgres", "zod"],
  });
  return outfile;
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
