import { Budget, type InvalidationChannel, systemClock } from "@larder/cache-core";
import { bytesCodec, RedisCache } from "@larder/cache-redis";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { Redis } from "ioredis";
import { type BatchContender, type Measurement, measureInterleaved, toRows } from "../measure.ts";
import { PeerUnavailable } from "../peers.ts";
import type { Column, Scenario, ScenarioContext, ScenarioResult, Table, Target, UnavailableContender } from "../scenario.ts";
import { geometricMean } from "../statistics.ts";
import { measureClear, measureFrozen } from "./redis-trouble.ts";

const KEYS = 100;
const KEY_PREFIX = "bench";
const AUTO_PIPELINED = "ioredis auto-pipelined getBuffer";
const PLAIN = "ioredis getBuffer";
const WITH_BUS = "larder RedisCache, healthy bus";
const WITHOUT_BUS = "larder RedisCache, no bus";

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
  readonly close: () => Promise<void>;
}

async function open(url: string): Promise<Setup> {
  const plain = new Redis(url);
  const piped = new Redis(url, { enableAutoPipelining: true });
  // The deadline is out of the way: on a busy machine a late answer would turn into a miss, which is faster than a hit.
  const options = { url, namespace: "bench", keyPrefix: KEY_PREFIX, codec: bytesCodec, timeoutMs: 5_000, writeTimeoutMs: 5_000 };
  const withoutBus = new RedisCache<Buffer>(options);
  const withBus = new RedisCache<Buffer>(options);
  const bus = new RedisInvalidationBus({ url, keyPrefix: KEY_PREFIX });
  const channel: InvalidationChannel = bus.join("bench", { onInvalidation: () => {}, onReset: () => {}, onProof: () => {} });
  await Promise.all([withoutBus.ready(), withBus.ready(), channel.ready()]);
  withBus.attach(channel, 1_000);
  const close = async (): Promise<void> => {
    await Promise.all([withBus.close(), withoutBus.close(), bus.close()]);
    plain.disconnect();
    piped.disconnect();
  };
  return { plain, piped, withBus, withoutBus, close };
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

async function createKeyv(
  context: ScenarioContext,
  url: string,
): Promise<{
  readonly get: (key: string) => Promise<unknown>;
  readonly set: (key: string, value: string) => Promise<unknown>;
  readonly version: string;
}> {
  const peer = await context.peers.load("keyv");
  const { Keyv } = (await peer.import("keyv")) as {
    Keyv: new (options: unknown) => { get(key: string): Promise<unknown>; set(key: string, value: string): Promise<unknown> };
  };
  const { default: KeyvRedis } = (await peer.import("@keyv/redis")) as { default: new (url: string) => unknown };
  const keyv = new Keyv({ store: new KeyvRedis(url) });
  return { get: (key) => keyv.get(key), set: (key, value) => keyv.set(key, value), version: peer.version };
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
  const unavailable: UnavailableContender[] = [];
  const keyv = await createKeyv(context, url).catch((error: unknown) => {
    if (!(error instanceof PeerUnavailable)) throw error;
    unavailable.push({ contender: "keyv + @keyv/redis", why: error.message, install: error.install });
    return undefined;
  });
  const measured: Record<string, Measurement[]> = {};
  for (const [position, { bytes, inFlight }] of cells.entries()) {
    const body = Buffer.alloc(bytes, "a");
    for (let index = 0; index < KEYS; index += 1) {
      await setup.plain.set(`raw:${keyOf(bytes, index)}`, body);
      if (!(await setup.withoutBus.set(keyOf(bytes, index), body))) throw new Error("a value could not be stored");
      await keyv?.set(keyOf(bytes, index), body.toString("latin1"));
    }
    const loop = (get: (index: number) => Promise<{ readonly length: number } | null | undefined>) => closedLoop(inFlight, get);
    const contenders: BatchContender[] = [
      { name: PLAIN, role: "limit", batch: loop((index) => setup.plain.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      { name: AUTO_PIPELINED, role: "limit", batch: loop((index) => setup.piped.getBuffer(`raw:${keyOf(bytes, index)}`)) },
      { name: WITH_BUS, role: "ours", batch: loop((index) => setup.withBus.get(keyOf(bytes, index))) },
      { name: WITHOUT_BUS, role: "ours", batch: loop((index) => setup.withoutBus.get(keyOf(bytes, index))) },
    ];
    if (keyv)
      contenders.push({
        name: "keyv + @keyv/redis",
        role: "peer",
        version: keyv.version,
        batch: loop((index) => keyv.get(keyOf(bytes, index)) as Promise<string>),
      });
    measured[`${bytes}-${inFlight}`] = await measureInterleaved(contenders, {
      rounds: quick ? 5 : 21,
      batchMs: quick ? 25 : 50,
      baseline,
      seed,
      signal,
      onRound: (done) => progress.update((position + done) / cells.length / 2, `hits of ${bytes / 1024} KB, ${inFlight} in flight`),
    });
  }
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
      name: "larder replace",
      role: "ours",
      note: "value, fence, log and publication in one script",
      batch: closedLoop(32, (index) => setup.withoutBus.replace(keyOf(1, index), body, options, call).then(() => done)),
    },
    {
      name: "larder set",
      role: "ours",
      note: "value and fence; tells nobody",
      batch: closedLoop(32, (index) => setup.withoutBus.set(keyOf(1, index), body).then((isStored) => (isStored ? done : undefined))),
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
    const clear = await measureClear(context, redis.url);
    const frozen = await measureFrozen(context);
    return {
      tables: [
        { ...batched.table, targets: hitTargets(batched.measured) },
        { ...single.table, targets: singleTargets },
        writes,
        clear,
        frozen,
      ],
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
    "Hits and safe writes of RedisCache beside ioredis itself and keyv; clear() at many keys; gets while Redis is frozen. The limit is the raw client.",
  needs: ["redis"],
  run,
};
