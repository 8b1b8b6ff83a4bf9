import { parseArgs } from "node:util";

/** Files that a report is written to. */
export interface ReportFiles {
  readonly json?: string;
  readonly html?: string;
  readonly markdown?: string;
}

/** What the command line asks for. */
export type Command =
  | {
      readonly kind: "run";
      readonly scenarios: readonly string[];
      readonly quick: boolean;
      readonly seed: number;
      readonly schedules: number | undefined;
      readonly soakMinutes: number | undefined;
      readonly traces: string | undefined;
      readonly replay: string | undefined;
      readonly files: ReportFiles;
    }
  | { readonly kind: "compare"; readonly before: string; readonly after: string }
  | { readonly kind: "render"; readonly file: string; readonly files: ReportFiles }
  | { readonly kind: "fill"; readonly file: string; readonly pages: readonly string[] }
  | { readonly kind: "help" };

/** The command line makes no sense; the message says how it would. */
export class UsageError extends Error {}

/** Any number will do, as long as it is the same one in every run. */
const DEFAULT_SEED = 20_260_101;

function toCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${name} must be a whole number of at least 1, and is "${text}"`);
  return value;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      // pnpm hands on the separator that npm needs.
      args: args.filter((argument) => argument !== "--"),
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
        json: { type: "string" },
        html: { type: "string" },
        markdown: { type: "string" },
        traces: { type: "string" },
        replay: { type: "string" },
        schedules: { type: "string" },
        soak: { type: "string" },
        seed: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nTry: bench --help`);
  }
}

/** An empty name is that of a variable which is not set: the flag would be as good as not there, and a run would end without its report. */
function refuseEmpty(values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === "") throw new UsageError(`--${name} is empty: leave it out or say what it is to be`);
  }
}

/** Reads the command line. @throws {UsageError} naming the word and the fix */
export function parseCommand(args: readonly string[], known: readonly string[]): Command {
  const { values, positionals } = parse(args);
  refuseEmpty(values);
  const { json, html, markdown } = values;
  const files = { ...(json ? { json } : {}), ...(html ? { html } : {}), ...(markdown ? { markdown } : {}) };
  if (values.help || positionals[0] === "help") return { kind: "help" };
  if (positionals[0] === "compare") {
    const [, before, after] = positionals;
    if (!before || !after || positionals.length > 3) throw new UsageError("compare wants two files: bench compare BEFORE.json AFTER.json");
    return { kind: "compare", before, after };
  }
  if (positionals[0] === "render") {
    const [, file] = positionals;
    if (!file || positionals.length > 2) throw new UsageError("render wants one file: bench render RESULT.json --html REPORT.html");
    if (Object.keys(files).length === 0)
      throw new UsageError("render wants to know what to make: --html FILE, --markdown FILE or --json FILE");
    return { kind: "render", file, files };
  }
  if (positionals[0] === "fill") {
    const [, file, ...pages] = positionals;
    if (!file || pages.length === 0) throw new UsageError("fill wants a result and pages: bench fill RESULT.json PAGE.md…");
    return { kind: "fill", file, pages };
  }
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new UsageError(`no scenario is called ${unknown.join(", ")}: there are ${known.join(", ")}`);
  return {
    kind: "run",
    scenarios: positionals.length > 0 ? known.filter((name) => positionals.includes(name)) : known,
    quick: values.quick,
    seed: toCount("seed", values.seed) ?? DEFAULT_SEED,
    schedules: toCount("schedules", values.schedules),
    soakMinutes: toCount("soak", values.soak),
    traces: values.traces,
    replay: values.replay,
    files,
  };
}

/** The text of `--help`, with a line per scenario. */
export function renderHelp(scenarios: ReadonlyArray<readonly [name: string, title: string]>): string {
  const width = Math.max(...scenarios.map(([name]) => name.length), 0);
  return `Measures larder beside its peers on this machine.

usage: bench [SCENARIO…] [--quick] [--json FILE] [--html FILE] [--markdown FILE]
             [--traces DIR] [--replay FILE] [--schedules N] [--soak M] [--seed S]
       bench compare BEFORE.json AFTER.json     what changed beyond noise
       bench render RESULT.json --html FILE     the report of an earlier run
       bench fill RESULT.json PAGE.md…          its tables between the markers of pages

scenarios (none named = all):
${scenarios.map(([name, title]) => `  ${name.padEnd(width)}  ${title}`).join("\n")}

  --quick        small sizes, few rounds: all together in about three minutes
  --json FILE    every figure, for compare and render
  --html FILE    one self-contained page with tables and plots
  --markdown FILE  the tables in Markdown
  --traces DIR   a folder of *.txt.gz cache traces, one key a line (default: ../shared/traces if it is there)
  --replay FILE  a request log for the gateway, one {"atMs":0,"body":{…}} a line, sent at its own pace
  --schedules N  schedules for the simulator
  --soak M       minutes of the soaks under full load (default: 1; a few seconds with --quick)
  --seed S       seed of everything random

Peers are installed with npm on first use into LARDER_BENCH_PEERS (default: larder-bench in your cache folder), never into
this workspace. A peer or scenario that cannot run says why and what to install. Redis servers are the bench's own.
`;
}
