import { parseArgs } from "node:util";

/** What the command line was asked for. */
export interface CliArguments {
  /** `NAME`, `NAME=URL-or-file` each; empty = the default sources. */
  readonly sources: readonly string[];
  readonly database: string;
  readonly redisUrl: string | undefined;
  readonly isDryRun: boolean;
  readonly isJson: boolean;
  readonly help: boolean;
  readonly command: "sync" | "quarantine" | "accept" | "history" | "rollback" | "compare";
  /** Arguments of the command. */
  readonly operands: readonly string[];
  readonly limit: number;
}

/** Shown by `--help`. */
export const helpText = `larder-sync: a catalog of LLM providers, models and prices that bad data cannot poison

Usage
  larder-sync [options]                 run once and print what changed
  larder-sync quarantine [options]      what the guards hold back, and why
  larder-sync accept KEY… [options]     believe what is held back under these keys
  larder-sync history [options]         versions kept
  larder-sync rollback VERSION          bring a former version back, as a new one
  larder-sync compare [options]         prices on which the sources disagree

Options
  --source NAME[=URL|FILE]  a source, and where it is; repeatable, in order of trust. Names: openrouter, openrouter-providers,
                            openrouter-endpoints, vercel, models.dev, litellm; any other name is an OpenAI-compatible server
                            (NAME=https://host/v1, key from LARDER_SYNC_KEY_<NAME>)
                            default: openrouter, openrouter-providers, vercel, models.dev, litellm
  --database URL            file:PATH or postgres://…            default: file:larder-catalog.db
  --redis URL               mirror to this Redis (needs ioredis)  default: none
  --dry-run                 sync alone: compute and print, store nothing
  --limit N                 rows printed at most                  default: 50
  --json                    print JSON
  --help                    this text

A run makes the SQLite file, and the tables, where there are none; the other commands, and a dry run, do not.

Exit codes: 0 done, 1 failed or incomplete, 2 wrong usage.
`;

const COMMANDS = ["sync", "quarantine", "accept", "history", "rollback", "compare"] as const;

/** @throws {Error} for what is missing, and for what would be ignored: `rollback 1 2` must not do half of what it seems to ask */
function checkOperands(command: CliArguments["command"], operands: readonly string[]): void {
  if (command === "accept") {
    if (operands.length === 0) throw new Error("accept needs at least one KEY: see larder-sync quarantine");
    return;
  }
  const allowed = command === "rollback" ? 1 : 0;
  if (operands.length > allowed)
    throw new Error(`${command} takes ${allowed === 0 ? "no operand" : "one VERSION"}: see larder-sync --help`);
  if (allowed === 1 && !(Number.isSafeInteger(Number(operands[0])) && Number(operands[0]) >= 1))
    throw new Error("rollback needs a VERSION >= 1: see larder-sync history");
}

/** Reads the arguments. @throws {Error} with a message for people */
export function parseCliArguments(argv: readonly string[]): CliArguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      source: { type: "string", multiple: true, default: [] },
      database: { type: "string", default: "file:larder-catalog.db" },
      redis: { type: "string" },
      "dry-run": { type: "boolean", default: false },
      limit: { type: "string", default: "50" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [command = "sync", ...operands] = positionals;
  const known = COMMANDS.find((name) => name === command);
  if (!known) throw new Error(`unknown command: ${command.slice(0, 40)}. See larder-sync --help`);
  const limit = Number(values.limit);
  if (!Number.isInteger(limit) || limit < 1) throw new Error("--limit must be an integer >= 1");
  // ioredis takes none for one on this machine.
  if (values.redis === "") throw new Error("--redis needs the URL of a Redis, as in redis://host:6379");
  // Who asks how a command goes does not know yet what it needs.
  if (!values.help) checkOperands(known, operands);
  if (values["dry-run"] && (known === "accept" || known === "rollback"))
    throw new Error(`--dry-run goes with sync alone: ${known} changes the store`);
  return {
    sources: values.source,
    database: values.database,
    redisUrl: values.redis,
    isDryRun: values["dry-run"],
    isJson: values.json,
    help: values.help,
    command: known,
    operands,
    limit,
  };
}
