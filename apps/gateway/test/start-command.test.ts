import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const TURBO_MS = 60_000;

interface DryRun {
  readonly tasks: ReadonlyArray<{ readonly taskId: string; readonly environmentVariables: { readonly passthrough: readonly string[] } }>;
}

describe("the command that starts the gateway from a clone", () => {
  it(
    "hands on whatever variable the configuration may name as that of a provider's key",
    async () => {
      const env = { PATH: process.env.PATH, HOME: process.env.HOME, TURBO_TELEMETRY_DISABLED: "1", GROQ_API_KEY: "none" };
      const turbo = join(root, "node_modules/turbo/bin/turbo");
      const args = [turbo, "run", "start", "--filter=@larder/gateway", "--dry=json"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env, maxBuffer: 2 ** 26 });
      const start = (JSON.parse(stdout) as DryRun).tasks.find(({ taskId }) => taskId === "@larder/gateway#start");
      const names = start?.environmentVariables.passthrough.map((entry) => entry.split("=", 1)[0]);
      expect(names).toContain("GROQ_API_KEY");
    },
    TURBO_MS,
  );
});
