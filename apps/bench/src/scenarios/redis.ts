import { Budget, type InvalidationChannel, systemClock } from "@larder/cache-core";
import { bytesCodec, RedisCache } from "@larder/cache-redis";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { Redis } from "ioredis";
import { openSharedTiers } from "../contenders/open-shared-tiers.ts";
import { sharedTierPeers } from "../contenders/shared-tier-peers.ts";
import { type BatchContender, type Measurement, measureInterleaved, toRows } from "../measure.ts";
import { ratioBars } from "../plots.ts";
import type { Column, Scenario, ScenarioContext, ScenarioResult, Table, Target } from "../scenario.ts";
import { geometricMean } from "../statistics.ts";
import { type CpuContender, clearRows, frozenPeer, frozenRows, measureCpu, planSharedPeers } from "./redis-peers.ts";
import { probe } from "./redis-probe.ts";
import { frozenOurs, measureClear, measureFrozen } from "./redis-trouble.ts";

const KEYS = 100;
const KEY_PREFIX = "bench";
const AUTO_PIPELINED = "ioredis auto-pipelined getBuffer";
const PLAIN = "ioredis getBuffer";
const WITH_BUS = "larder RedisCache, healthy bus";
const WITHOUT_BUS = "larder RedisCache, no bus";
const AS_TEXT = "larder RedisCache, healthy bus, default codec";
/** What differs from the defaults in all rows of larder's. */
const PATIENT = "timeoutMs 5000, lest a late answer on a busy machine count as a quick miss";
const AS_BYTES = `bytesCodec, as bytes are asked of the raw client; ${PATIENT}`;

interface Cell {
  readonly bytes: number;
  readonly inFlight: number;
}

/** Clients and caches over one server. */
interface Setup {
  readonly plain: Redis;
  readonly piped: Redis;
  readonly withBus: RedisCache<Buffer>;
  readonly withoutBus: RedisCache<Buffer>;
  /** In a namespace to whose channel nobody listens, as nobody does to that of the raw client. */
  readonly unheard: RedisCache<Buffer>;
  /** Values of text by the default codec, as the other libraries have them. */
  readonly asText: RedisCache<string>;
  readonly close: () => Promise<void>;
}

async function open(url: string): Promise<Setup> {
  const plain = new Redis(url);
  const piped = new Redis(url, { enableAutoPipelining: true });
  // When the run is stopped the server goes first: ioredis would print each connection's end.
  for (const client of [plain, piped]) client.on("error", () => {});
  // The deadline is out of the way: on a busy machine a late answer would turn into a miss, which is faster than a hit.
  const options = { url, keyPrefix: KEY_PREFIX, timeoutMs: 5_000, writeTimeoutMs: 5_000 };
  const withoutBus = new RedisCache<Buffer>({ ...options, namespace: "bench", codec: bytesCodec });
  const withBus = new RedisCache<Buffer>({ ...options, namespace: "bench", codec: bytesCodec });
  const unheard = new RedisCache<Buffer>({ ...options, namespace: "unheard", codec: bytesCodec });
  const asText = new RedisCache<string>({ ...options, namespace: "text" });
  const bus = new RedisInvalidationBus({ url, keyPrefix: KEY_PREFIX });
  const join = (namespace: string): InvalidationChannel =>
    bus.join(namespace, { onInvalidation: () => {}, onReset: () => {}, onProof: () => {} });
  const [bytesChannel, textChannel] = [join("bench"), join("text")];
  await Promise.all([withoutBus, withBus, unheard, asText, bytesChannel, textChannel].map((each) => each.ready()));
  withBus.attach(bytesChannel, 1_000);
  asText.attach(textChannel, 1_000);
  const close = async (): Promise<void> => {
    await Promise.all([withBus.close(), withoutBus.close(), unheard.close(), asText.close(), bus.close()]);
    plain.disconnect();
    piped.disconnect();
  };
  return { plain, piped, withBus, withoutBus, unheard, asText, close };
}

const keyOf = (bytes: number, index: number): string => `${bytes}:${index % KEYS}`;

/** A closed loop: `inFlight` callers, each asking again as soon as it is answered. */
function closedLoop(
  inFlight: number,
  get: (index: number) => Promise<{ readonly length: number } | null | undefined>,
): BatchContender["batch"] {
  return async (operations) => {
    let next = 0;
    let found = 0;
    const caller = async (): Promise<void> => {
      while (next < operations) {
        const index = next;
        next += 1;
        if ((await get(index))?.length) found += 1;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
    if (found < operations) throw new Error(`${operations - found} of ${operations} gets were misses`);
    return found;
  };
}

async function measureHits(
  context: ScenarioContext,
  setup: Setup,
  url: string,
  cells: readonly Cell[],
  baseline: string,
  id: string,
  title: string,
): Promise<{ readonly table: Table; readonly measured: Readonly<Record<string, readonly Measurement[]>> }> {
  const { quick, seed, signal, progress } = context;
  const asked = sharedTierPeers.filter(({ name }) => planSharedPeers(quick).peers.includes(name));
  const { tiers, unavailable } = await openSharedTiers(context, asked, url, "hits");
  const measured: Record<string, Measurement[]> = {};
  for (const [position, { bytes, inFlight }] of cells.entries()) {
    const body = Buffer.alloc(bytes, "a");
    for (let index = 0; index < KEYS; index += 1) {
      await setup.plain.set(`raw:${keyOf(bytes, index)}`, body);
      const text = body.toString("latin1");
      const isStored = (await setup.withoutBus.set(keyOf(bytes, index), body)) && (await setup.asText.set(keyOf(bytes, index), text));
      if (!isStored) throw new Error("a value could not be stored");
      for (const tier of tiers) await tier.set(keyOf(bytes, index), text);
    }
    const loop = (get: (index: number) => Promise<{ readonly length: number } | null | undefined>) => closedLoop(inFlight, get);
    const contenders: BatchContender[] = [
      { name: PLAIN, role: "limit", batch: loop((index) => setup.plain.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      { name: AUTO_PIPELINED, role: "limit", batch: loop((index) => setup.piped.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      { name: WITH_BUS, role: "ours", note: AS_BYTES, batch: loop((index) => setup.withBus.get(keyOf(bytes, index))) },
      { name: WITHOUT_BUS, role: "ours", note: AS_BYTES, batch: loop((index) => setup.withoutBus.get(keyOf(bytes, index))) },
      { name: AS_TEXT, role: "ours", note: `values of text; ${PATIENT}`, batch: loop((index) => setup.asText.get(keyOf(bytes, index))) },
    ];
    for (const { name, version, get } of tiers) {
      const batch = loop((index) => get(keyOf(bytes, index)) as Promise<string>);
      contenders.push({ name, role: "peer", note: "values of text, defaults", version, batch });
    }
    measured[`${bytes}-${inFlight}`] = await measureInterleaved(contenders, {
      rounds: quick ? 5 : 21,
      batchMs: quick ? 25 : 50,
      ...(quick ? { warmUpMs: 50 } : {}),
      baseline,
      seed,
      signal,
      onRound: (done) => progress.update((position + done) / cells.length / 2, `hits of ${bytes / 1024} KB, ${inFlight} in flight`),
    });
  }
  for (const tier of tiers) await tier.close();
  const columns: Column[] = cells.map(({ bytes, inFlight }) => ({
    id: `${bytes}-${inFlight}`,
    title: `${bytes / 1024} KB x${inFlight}`,
    unit: "gets/s",
    better: "higher",
  }));
  return { table: { id, title, columns, rows: toRows(measured), baseline, unavailable }, measured };
}

const ratioOf = (measurements: readonly Measurement[] | undefined, name: string): number =>
  measurements?.find((each) => each.name === name)?.cell.ratio ?? Number.NaN;

function hitTargets(measured: Readonly<Record<string, readonly Measurement[]>>): Target[] {
  const columns = Object.keys(measured);
  const ours = columns.map((column) => ratioOf(measured[column], WITH_BUS));
  const mean = geometricMean(ours);
  const last = columns.at(-1) as string;
  return [
    {
      contender: WITH_BUS,
      column: last,
      text: `geometric mean over the auto-pipelined client >= 1.3 (${mean.toFixed(2)})`,
      isMet: mean >= 1.3,
    },
    { contender: WITH_BUS, column: last, text: `each cell >= 1.0 (lowest ${Math.min(...ours).toFixed(2)})`, isMet: Math.min(...ours) >= 1 },
    ...columns.map((column): Target => {
      const ratio = ratioOf(measured[column], WITHOUT_BUS);
      return { contender: WITHOUT_BUS, column, text: `>= 0.85 of the auto-pipelined client (${ratio.toFixed(2)})`, isMet: ratio >= 0.85 };
    }),
  ];
}

async function measureWrites(context: ScenarioContext, setup: Setup): Promise<Table> {
  const { quick, seed, signal } = context;
  const body = Buffer.alloc(1024, "a");
  const options = { ttlMs: 60_000, staleMs: 0, tags: [] };
  const call = { budget: new Budget(Infinity, systemClock) };
  const done = { length: 1 };
  const contenders: BatchContender[] = [
    {
      name: "ioredis SET PX",
      role: "limit",
      batch: closedLoop(32, (index) => setup.plain.set(`raw:${keyOf(1, index)}`, body, "PX", 60_000).then(() => done)),
    },
    {
      name: "ioredis SET PX, INCR, PUBLISH",
      role: "peer",
      note: "the same by hand, in one batch that may end half done",
      batch: closedLoop(32, (index) => {
        const [key, version] = [`raw:${keyOf(1, index)}`, `raw:version:${keyOf(1, index)}`];
        return setup.plain.pipeline().set(key, body, "PX", 60_000).incr(version).publish("raw:invalidations", key).exec();
      }),
    },
    {
      name: "larder replace",
      role: "ours",
      note: "value, fence, log and publication in one script; nobody listens, as to the raw client's publications",
      batch: closedLoop(32, (index) => setup.unheard.replace(keyOf(1, index), body, options, call).then(() => done)),
    },
    {
      name: "larder replace, heard here",
      role: "ours",
      note: "the same, with a bus in this process that receives each publication",
      batch: closedLoop(32, (index) => setup.withoutBus.replace(keyOf(1, index), body, options, call).then(() => done)),
    },
    {
      name: "larder set",
      role: "ours",
      note: "value and fence; tells nobody",
      batch: closedLoop(32, (index) => setup.unheard.set(keyOf(1, index), body).then((isStored) => (isStored ? done : undefined))),
    },
  ];
  const measured = await measureInterleaved(contenders, {
    rounds: quick ? 5 : 21,
    batchMs: quick ? 25 : 50,
    baseline: "ioredis SET PX",
    seed,
    signal,
  });
  const ratio = ratioOf(measured, "larder replace");
  return {
    id: "writes",
    title: "Writes of 1 KB, 32 in flight",
    columns: [{ id: "writes", title: "1 KB x32", unit: "sets/s", better: "higher" }],
    rows: toRows({ writes: measured }),
    baseline: "ioredis SET PX",
    targets: [
      { contender: "larder replace", column: "writes", text: `>= 0.55 of a plain SET (${ratio.toFixed(2)})`, isMet: ratio >= 0.55 },
    ],
  };
}

/** Hits of the sizes at which reading a value costs least and most. The values are there from the tables before. */
function cpuColumns(setup: Setup): ReadonlyArray<{ readonly bytes: number; readonly title: string; readonly contenders: CpuContender[] }> {
  return [1_024, 65_536].map((bytes) => ({
    bytes,
    title: `${bytes / 1024} KB`,
    contenders: [
      { name: PLAIN, role: "limit", batch: closedLoop(32, (index) => setup.plain.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      { name: AUTO_PIPELINED, role: "limit", batch: closedLoop(32, (index) => setup.piped.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      {
        name: "ioredis get and JSON.parse",
        role: "peer",
        note: "what a cache of objects does on each hit, here for a string",
        batch: closedLoop(32, async (index) => JSON.parse(`"${await setup.plain.get(`raw:${keyOf(bytes, index)}`)}"`) as string),
      },
      { name: WITH_BUS, role: "ours", batch: closedLoop(32, (index) => setup.withBus.get(keyOf(bytes, index))) },
      { name: WITHOUT_BUS, role: "ours", batch: closedLoop(32, (index) => setup.withoutBus.get(keyOf(bytes, index))) },
    ],
  }));
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const redis = await context.redis.start();
  const setup = await open(redis.url);
  try {
    const counts = context.quick ? [16, 128] : [16, 64, 128];
    const many = [1_024, 8_192].flatMap((bytes) => counts.map((inFlight) => ({ bytes, inFlight })));
    const few = [1_024, 8_192].map((bytes) => ({ bytes, inFlight: 1 })).concat([1, 16].map((inFlight) => ({ bytes: 65_536, inFlight })));
    const batched = await measureHits(
      context,
      setup,
      redis.url,
      many,
      AUTO_PIPELINED,
      "hits",
      "Hits with many in flight, over ioredis' auto-pipelining",
    );
    const single = await measureHits(
      context,
      setup,
      redis.url,
      few,
      PLAIN,
      "hits-single",
      "Hits one at a time, and of 64 KB, over the plain client",
    );
    const singleTargets = Object.entries(single.measured).map(([column, measurements]): Target => {
      const ratio = ratioOf(measurements, WITH_BUS);
      return { contender: WITH_BUS, column, text: `>= 0.9 of the plain client (${ratio.toFixed(2)})`, isMet: ratio >= 0.9 };
    });
    const writes = await measureWrites(context, setup);
    const cpu = await measureCpu(context, cpuColumns(setup), PLAIN, WITH_BUS);
    const cleared = await measureClear(context);
    const clear = { ...cleared, rows: [...cleared.rows, ...(await clearRows(context))] };
    const frozenAlone = await measureFrozen(context);
    const frozen = { ...frozenAlone, rows: [...frozenAlone.rows, ...(await frozenRows(context))] };
    return {
      tables: [
        { ...batched.table, targets: hitTargets(batched.measured) },
        { ...single.table, targets: singleTargets },
        writes,
        cpu,
        clear,
        frozen,
      ],
      plots: [ratioBars(batched.table, batched.table.title), ratioBars(single.table, single.table.title)],
    };
  } finally {
    await setup.close();
  }
}

/** The shared tier over the raw client: hits, writes, clearing, and what a frozen Redis costs. */
export const redisScenario: Scenario = {
  name: "redis",
  title: "Redis tier: hits and writes over the raw client",
  describe:
    "Hits and safe writes of RedisCache beside ioredis itself and other caches over Redis; processor time of a hit; clear() at many keys; gets while Redis is frozen. The limit is the raw client.",
  needs: ["redis"],
  tasks: { frozenOurs, frozenPeer, probe },
  run,
};
