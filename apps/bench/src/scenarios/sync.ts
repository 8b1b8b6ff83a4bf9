import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CatalogView, createCatalog, openRouterModels, type SnapshotStore, syncOnce } from "@larder/provider-sync";
import { createPostgresStore } from "@larder/provider-sync/postgres";
import { createRedisMirror } from "@larder/provider-sync/redis-mirror";
import { createSqliteStore } from "@larder/provider-sync/sqlite";
import { Redis } from "ioredis";
import postgres from "postgres";
import { measureInterleaved, type Named, toMeasurements, toRows } from "../measure.ts";
import type { Column, Scenario, ScenarioContext, ScenarioResult, Table, UnavailableContender } from "../scenario.ts";

const MODELS = 5000;
const LIMIT = "parse, stringify and gzip the same list";
const SQLITE = "SQLite";
const MIRRORED = "SQLite and Redis mirror";
const POSTGRES = "PostgreSQL and Redis mirror";

const COLUMNS: readonly Column[] = [
  { id: "new", title: "everything is new", unit: "ms", better: "lower" },
  { id: "changed", title: "1 % of the prices moved", unit: "ms", better: "lower" },
  { id: "unchanged", title: "nothing changed", unit: "ms", better: "lower" },
];

type Step = "new" | "changed" | "unchanged";

/** A list in OpenRouter's form, as large per model as the real one; every hundredth price is the edition's own. */
function listBody(edition: number): Buffer {
  const data = Array.from({ length: MODELS }, (_, index) => {
    const price = index % 100 === 0 ? `0.00000${1 + (edition % 4)}` : "0.000001";
    return {
      id: `author-${index % 60}/model-${index}`,
      canonical_slug: `author-${index % 60}/model-${index}-20260101`,
      name: `Author ${index % 60}: Model ${index}`,
      created: 1_770_000_000 + index,
      description: "A model for agentic work flows, multi turn chat and coding assistance. ".repeat(6),
      context_length: 131_072,
      architecture: { modality: "text+image->text", input_modalities: ["text", "image"], output_modalities: ["text"], tokenizer: "Other" },
      pricing: { prompt: price, completion: "0.000004", input_cache_read: "0.0000001", web_search: "0.01" },
      top_provider: { context_length: 131_072, max_completion_tokens: 16_384, is_moderated: false },
      supported_parameters: ["max_tokens", "temperature", "top_p", "tools", "tool_choice", "response_format", "stop", "seed", "reasoning"],
    };
  });
  return Buffer.from(JSON.stringify({ data }));
}

/** One place to keep a catalog, made anew for each round. */
interface Place extends Named {
  open(folder: string, round: number): Promise<{ readonly store: SnapshotStore; readonly keyPrefix?: string; close(): Promise<void> }>;
}

const sqlite = async (folder: string, round: number): Promise<SnapshotStore> =>
  createSqliteStore({ path: join(folder, `catalog-${round}-${Math.random()}.db`) });

/** A schema of the bench's own in a database that may be somebody's: nothing of what is there is read or written. */
async function createSchema(databaseUrl: string, round: number): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const name = `larder_bench_${process.pid}_${round}`;
  const run = async (statement: string): Promise<void> => {
    const client = postgres(databaseUrl, { max: 1, onnotice: () => {} });
    await client.unsafe(statement).finally(() => client.end());
  };
  await run(`CREATE SCHEMA ${name}`);
  const url = new URL(databaseUrl);
  url.searchParams.set("search_path", name);
  return { url: url.href, drop: () => run(`DROP SCHEMA ${name} CASCADE`) };
}

function placesOf(databaseUrl: string | undefined, redis: Redis | undefined): Place[] {
  const plain: Place = {
    name: SQLITE,
    role: "ours",
    open: async (folder, round) => {
      const store = await sqlite(folder, round);
      return { store, close: () => store.close() };
    },
  };
  const mirrored: Place = {
    name: MIRRORED,
    role: "ours",
    open: async (folder, round) => {
      const store = await sqlite(folder, round);
      return { store, keyPrefix: `bench-sqlite-${round}`, close: () => store.close() };
    },
  };
  const fleet: Place = {
    name: POSTGRES,
    role: "ours",
    open: async (_folder, round) => {
      const schema = await createSchema(databaseUrl ?? "", round);
      const store = await createPostgresStore({ url: schema.url, keepVersions: 2, keepChanges: 2, keepRawRuns: 1 });
      const close = async (): Promise<void> => {
        await store.close();
        await schema.drop();
      };
      return { store, keyPrefix: `bench-postgres-${round}`, close };
    },
  };
  return [plain, ...(redis ? [mirrored, ...(databaseUrl ? [fleet] : [])] : [])];
}

/** Milliseconds of one run against an upstream that answers at once: everything but the network. */
async function timeRun(store: SnapshotStore, body: Buffer, redis: Redis | undefined, keyPrefix: string | undefined): Promise<number> {
  const fetch = async (): Promise<Response> => new Response(new Uint8Array(body), { headers: { "content-type": "application/json" } });
  const mirror = redis && keyPrefix !== undefined ? createRedisMirror({ client: redis, keyPrefix }) : undefined;
  const startedAt = performance.now();
  const report = await syncOnce({
    sources: [openRouterModels({ url: "http://upstream.invalid/models" })],
    store,
    fetch: { fetch },
    ...(mirror && { mirror }),
  });
  const elapsedMs = performance.now() - startedAt;
  if (!report.isComplete) throw new Error(`the run was ${report.outcome}: ${report.error ?? report.sources[0]?.reason}`);
  return elapsedMs;
}

/** The work that no implementation can leave out: reading the list and packing it once for storing. */
function timeLimit(body: Buffer): number {
  const startedAt = performance.now();
  gzipSync(JSON.stringify(JSON.parse(body.toString("utf8"))), { level: 4 });
  return performance.now() - startedAt;
}

async function measureRuns(context: ScenarioContext, redis: Redis | undefined, databaseUrl: string | undefined): Promise<Table> {
  const rounds = context.quick ? 2 : 9;
  const places = placesOf(databaseUrl, redis);
  const samples = new Map<string, Record<Step, number[]>>(
    [LIMIT, ...places.map((place) => place.name)].map((name) => [name, { new: [], changed: [], unchanged: [] }]),
  );
  const folder = mkdtempSync(join(tmpdir(), "larder-bench-sync-"));
  try {
    // Round 0 warms up and does not count.
    for (let round = 0; round <= rounds; round += 1) {
      const [first, second] = [listBody(2 * round), listBody(2 * round + 1)];
      for (const place of places) {
        context.signal.throwIfAborted();
        const { store, keyPrefix, close } = await place.open(folder, round);
        try {
          const times: Record<Step, number> = {
            new: await timeRun(store, first, redis, keyPrefix),
            changed: await timeRun(store, second, redis, keyPrefix),
            unchanged: await timeRun(store, second, redis, keyPrefix),
          };
          if (round > 0) for (const step of Object.keys(times) as Step[]) samples.get(place.name)?.[step].push(times[step]);
        } finally {
          await close();
        }
      }
      if (round > 0) for (const step of ["new", "changed", "unchanged"] as const) samples.get(LIMIT)?.[step].push(timeLimit(second));
      context.progress.update((round / rounds) * 0.7, `sync of ${MODELS} models, round ${round} of ${rounds}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const named: Named[] = [{ name: LIMIT, role: "limit" }, ...places];
  const measured = (step: Step) =>
    toMeasurements(
      named.map((contender) => ({ contender, samples: samples.get(contender.name)?.[step] ?? [] })),
      LIMIT,
    );
  const rows = toRows({ new: measured("new"), changed: measured("changed"), unchanged: measured("unchanged") });
  const worst = Math.max(
    ...places.flatMap((place) => measured("new").filter((found) => found.name === place.name)).map((found) => found.cell.median),
  );
  const unavailable: UnavailableContender[] = [];
  if (!redis) unavailable.push({ contender: MIRRORED, why: "no Redis was found", install: "redis-server on the PATH" });
  if (!databaseUrl)
    unavailable.push({
      contender: POSTGRES,
      why: "no PostgreSQL was given",
      install: "name a server in LARDER_POSTGRES_URL, or run the bench of a clone through `node scripts/with-postgres.mjs`",
    });
  return {
    id: "sync-run",
    title: `One sync of ${MODELS} models, without the network`,
    columns: COLUMNS,
    rows,
    baseline: LIMIT,
    unavailable,
    targets: [{ contender: places.at(-1)?.name ?? SQLITE, column: "new", text: "< 1000 ms beyond the network", isMet: worst < 1000 }],
    notes: [
      "A run fetches, validates each item, guards each price, compares with the version before, commits body, changes and raw body in one transaction, and mirrors.",
      "Each round begins with an empty place: a file, or a schema of its own in the database.",
    ],
  };
}

/** How many names are asked for in turn. */
const NAMES = 512;

async function measureLookups(context: ScenarioContext): Promise<Table> {
  const store = await createSqliteStore({ path: ":memory:" });
  await timeRun(store, listBody(0), undefined, undefined);
  const catalog = createCatalog({ readers: [store] });
  await catalog.ready();
  const models = catalog.view.models.slice(0, NAMES);
  const ids = models.map((model) => model.id);
  const names = models.map((model) => model.model);
  const aliases = models.map((model) => model.aliases?.[0] ?? model.model);
  const raw = new Map(models.map((model) => [model.id, model.usdPerMillion]));
  const loop = (lookUp: (index: number) => unknown) => (operations: number) => {
    let found = 0;
    for (let operation = 0; operation < operations; operation += 1) if (lookUp(operation % NAMES) !== undefined) found += 1;
    return found;
  };
  const measured = await measureInterleaved(
    [
      { name: "Map.get", role: "limit", batch: loop((index) => raw.get(ids[index] as string)) },
      { name: "Map.get, wrapped", role: "control", batch: loop((index) => (raw.size > 0 ? raw.get(ids[index] as string) : undefined)) },
      { name: "price by id", role: "ours", batch: loop((index) => catalog.price(ids[index] as string)) },
      { name: "price by name and provider", role: "ours", batch: loop((index) => catalog.price(names[index] as string, "openrouter")) },
      { name: "price by bare name", role: "ours", batch: loop((index) => catalog.price(names[index] as string)) },
      { name: "model by alias", role: "ours", batch: loop((index) => catalog.find(aliases[index] as string)) },
    ],
    {
      rounds: context.quick ? 7 : 25,
      batchMs: 10,
      baseline: "Map.get",
      seed: context.seed,
      signal: context.signal,
      onRound: (done) => context.progress.update(0.7 + done * 0.25, "lookups"),
    },
  );
  catalog.close();
  const slowest = Math.min(...measured.filter((found) => found.role === "ours").map((found) => found.cell.median));
  await store.close();
  return {
    id: "catalog-lookup",
    title: "Catalog lookups",
    columns: [{ id: "lookups", title: "lookups", unit: "ops/s", better: "higher" }],
    rows: toRows({ lookups: measured }),
    baseline: "Map.get",
    targets: [
      { contender: "price by name and provider", column: "lookups", text: "< 1 us a lookup, whichever way", isMet: slowest > 1_000_000 },
    ],
  };
}

/** Milliseconds for which nothing else in this process could run, at the longest, while `work` was done. */
async function longestHold(work: () => unknown): Promise<number> {
  let [lastAt, longestMs, isOver] = [performance.now(), 0, false];
  const look = (): void => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - lastAt);
    lastAt = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  isOver = true;
  look();
  return longestMs;
}

/** What a process that serves notices when a new version comes: until it has read it, and until it has indexed it. */
async function measureHolds(context: ScenarioContext): Promise<Table> {
  const store = await createSqliteStore({ path: ":memory:" });
  await timeRun(store, listBody(0), undefined, undefined);
  const { content } = await store.state();
  const ways: ReadonlyArray<Named & { readonly work: () => unknown }> = [
    { name: "indexed at once", role: "limit", note: "the constructor of CatalogView", work: () => new CatalogView(1, content) },
    { name: "indexed in slices", role: "ours", note: "CatalogView.build, as a catalog does it", work: () => CatalogView.build(1, content) },
    {
      name: "read, unpacked and indexed",
      role: "ours",
      note: "all that a catalog does for a new version; parsing the stored JSON is one piece",
      work: async () => {
        const catalog = createCatalog({ readers: [store] });
        await catalog.ready();
        catalog.close();
      },
    },
  ];
  const samples = ways.map(() => [] as number[]);
  for (let turn = 0; turn < (context.quick ? 5 : 15); turn += 1) {
    for (const [index, { work }] of ways.entries()) samples[index]!.push(await longestHold(work));
  }
  await store.close();
  const measured = toMeasurements(
    ways.map(({ name, role, note }, index) => ({
      contender: { name, role, ...(note === undefined ? {} : { note }) },
      samples: samples[index]!,
    })),
    undefined,
  );
  return {
    id: "catalog-holds",
    title: `A new version of ${MODELS} models: how long a reader's event loop is held at the longest`,
    columns: [{ id: "held", title: "longest hold", unit: "ms", better: "lower" }],
    rows: toRows({ held: measured }),
    notes: ["Lookups meanwhile are answered from the version before, whole."],
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const launched = context.redis.isAvailable() ? await context.redis.start() : undefined;
  const redis = launched && new Redis(launched.url);
  // Not DATABASE_URL, which is the gateway's own setting and may name a database that is in use.
  const given = process.env.LARDER_POSTGRES_URL;
  try {
    const runs = await measureRuns(context, redis, given?.startsWith("postgres") ? given : undefined);
    return { tables: [runs, await measureLookups(context), await measureHolds(context)] };
  } finally {
    redis?.disconnect();
    await launched?.stop();
  }
}

/** The provider sync without its network, and what reading the catalog costs. */
export const syncScenario: Scenario = {
  name: "sync",
  title: "Provider sync",
  describe: `One sync of ${MODELS} models into SQLite, Redis and PostgreSQL, the network left out, beside the parsing and packing that nobody can leave out; and catalog lookups beside a Map.`,
  run,
};
