import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "../..");

/** Makes one runnable file of the sources, so that no built package is needed. @returns its path */
export async function bundleProgram(): Promise<string> {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  const external = Object.keys(dependencies).filter((name) => !name.startsWith("@larder/"));
  // Below node_modules: what stays outside of the bundle is found from there.
  const folder = join(root, "node_modules/.test");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `main-${process.pid}.mjs`);
  await build({
    entryPoints: [join(root, "src/main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["@larder/source"],
    external,
    banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
    logLevel: "silent",
  });
  return outfile;
}

/** A gateway in a process of its own. */
export class Program {
  readonly child: ChildProcess;
  readonly directory: string = mkdtempSync(join(tmpdir(), "larder-program-"));
  /** Everything written so far, both streams. */
  output = "";
  readonly exited: Promise<number | null>;

  constructor(path: string, args: readonly string[], environment: Record<string, string>, stdio: StdioOptions = "pipe") {
    const { PATH = "" } = process.env;
    this.child = spawn(process.execPath, [path, ...args], {
      cwd: this.directory,
      stdio,
      env: { PATH, LARDER_SYNC_SOURCES: "none", ...environment },
    });
    const collect = (data: Buffer): void => {
      this.output += data.toString();
    };
    this.child.stdout?.on("data", collect);
    this.child.stderr?.on("data", collect);
    this.exited = new Promise((done) => this.child.once("close", (code) => done(code)));
  }

  /** The address told at the start. */
  async listening(): Promise<string> {
    let ended = false;
    void this.exited.then(() => {
      ended = true;
    });
    for (;;) {
      const url = /listening on (\S+)/.exec(this.output)?.[1];
      if (url && this.output.includes("OpenAI base URL")) return url;
      if (ended) throw new Error(`it ended instead of listening: ${this.output}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
