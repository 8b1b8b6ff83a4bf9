import { CacheError } from "@larder/cache-core";
import { acceptQuarantined, rollBack } from "../change-by-hand.ts";
import { comparePrices, compareSources } from "../compare-prices.ts";
import type { Mirror } from "../mirror.ts";
import type { SnapshotStore } from "../snapshot-store.ts";
import type { Source } from "../source.ts";
import { syncOnce } from "../sync.ts";
import { type CliArguments, helpText, parseCliArguments } from "./arguments.ts";
import { openSources } from "./open-sources.ts";
import { openStore } from "./open-store.ts";
import { formatQuarantine, formatReport } from "./print-report.ts";
import { formatInstant, formatRest, formatTable } from "./print-table.ts";
import { printable, printableJson } from "./printable.ts";

/** Where a command line runs. */
export interface CliEnvironment {
  readonly argv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  write(text: string): void;
  writeError(text: string): void;
}

interface Opened {
  readonly store: SnapshotStore;
  readonly mirror?: Mirror;
  close(): Promise<void>;
}

async function openMirror(url: string): Promise<{ readonly mirror: Mirror; disconnect(): void }> {
  const { Redis } = await import("ioredis");
  const { createRedisMirror } = await import("../redis-mirror.ts");
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  // Without a listener ioredis prints to the console; the mirror's outcome tells the same.
  client.on("error", () => {});
  return { mirror: createRedisMirror({ client }), disconnect: () => client.disconnect() };
}

async function openAll(given: CliArguments): Promise<Opened> {
  const store = await openStore(given);
  if (given.redisUrl === undefined) return { store, close: () => store.close() };
  try {
    const { mirror, disconnect } = await openMirror(given.redisUrl);
    const close = async (): Promise<void> => {
      disconnect();
      await store.close();
    };
    return { store, mirror, close };
  } catch (error) {
    // PostgreSQL's connections would keep the process alive for ever.
    await store.close();
    throw error;
  }
}

/** What a command prints: the value for `--json`, the text for people, and how it ended. */
interface Printed {
  readonly value: unknown;
  readonly text: string;
  readonly exitCode: number;
}

async function sync(given: CliArguments, opened: Opened, sources: readonly Source[]): Promise<Printed> {
  const { store, mirror } = opened;
  const report = await syncOnce({ sources, store, dryRun: given.isDryRun, ...(mirror && { mirror }) });
  return { value: report, text: formatReport(report, given.limit), exitCode: report.isComplete ? 0 : 1 };
}

async function quarantine(given: CliArguments, { store }: Opened): Promise<Printed> {
  const { content } = await store.state();
  return { value: content.quarantine, text: formatQuarantine(content.quarantine, given.limit), exitCode: 0 };
}

async function history(given: CliArguments, { store }: Opened): Promise<Printed> {
  const heads = await store.history(given.limit);
  const rows = heads.map((head) => [head.version, formatInstant(head.createdAt), head.reason, head.modelCount]);
  return { value: heads, text: formatTable(["version", "committed", "by", "models"], rows), exitCode: 0 };
}

async function compare(given: CliArguments, { store }: Opened): Promise<Printed> {
  const { content } = await store.state();
  const [prices, sources] = [comparePrices(content), compareSources(content)];
  const priceRows = prices
    .slice(0, given.limit)
    .map((found) => [found.id, found.path, found.prices.map((quote) => `${quote.source} ${quote.price}`).join(", "), found.outlier ?? ""]);
  const sourceRows = sources.map((pair) => [pair.sources.join(" / "), pair.models, pair.agreeing]);
  const text = [
    formatTable(["sources", "models in both", "agreeing"], sourceRows),
    `${formatTable(["model", "price", "US dollars", "stands alone"], priceRows)}${formatRest(prices.length, given.limit)}`,
  ].join("\n\n");
  return { value: { prices, sources }, text, exitCode: 0 };
}

async function run(given: CliArguments, opened: Opened, sources: readonly Source[]): Promise<Printed> {
  const { store, mirror } = opened;
  const hand = { store, ...(mirror && { mirror }) };
  if (given.command === "quarantine") return quarantine(given, opened);
  if (given.command === "history") return history(given, opened);
  if (given.command === "compare") return compare(given, opened);
  if (given.command === "sync") return sync(given, opened, sources);
  const head = given.command === "accept" ? await acceptQuarantined(given.operands, hand) : await rollBack(Number(given.operands[0]), hand);
  return { value: head, text: `${head.reason}: version ${head.version}, ${head.modelCount} models`, exitCode: 0 };
}

function explain(error: unknown, otherwise: string): string {
  return `larder-sync: ${printable(error instanceof Error ? error.message : otherwise)}\n`;
}

/** Runs the command line. Never rejects. @returns the exit code */
export async function runCli(cli: CliEnvironment): Promise<number> {
  let given: CliArguments;
  let sources: readonly Source[] = [];
  try {
    given = parseCliArguments(cli.argv);
    if (given.command === "sync" && !given.help) sources = openSources(given.sources, cli.environment);
  } catch (error) {
    cli.writeError(explain(error, "wrong usage"));
    return 2;
  }
  if (given.help) {
    cli.write(helpText);
    return 0;
  }
  try {
    const opened = await openAll(given);
    try {
      const printed = await run(given, opened, sources);
      cli.write(`${given.isJson ? printableJson(printed.value) : printed.text}\n`);
      return printed.exitCode;
    } finally {
      await opened.close();
    }
  } catch (error) {
    cli.writeError(explain(error, "failed"));
    return CacheError.is(error) && error.code === "ERR_CACHE_INVALID_OPTION" ? 2 : 1;
  }
}
