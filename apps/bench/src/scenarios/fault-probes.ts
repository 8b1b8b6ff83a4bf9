import { Buffer } from "node:buffer";
import { type FaultProxy, startFaultProxy } from "@larder/cache-testing";
import { Redis } from "ioredis";
import type { LoadValue, ReadThroughCache, ReadThroughContender, ReadThroughSetting } from "../contenders/read-through.ts";
import type { Peers } from "../peers.ts";

// The promises that a cache in front of a changing truth can make (I1 to I8 of the specification), each as an experiment that any
// read-through cache can be put to. Two instances, A and B, stand for two processes: each has connections of its own, and what carries
// B's invalidations runs through a proxy of its own. The truth is a number; a loader that starts reads it.

/** What came of an experiment. */
export interface ProbeAnswer {
  readonly isKept: boolean;
  /** What was seen, in a few words. */
  readonly text: string;
}

/** What an experiment works with. */
export interface ProbeBench {
  readonly redisUrl: string;
  /** Of the server's process, to freeze it. */
  readonly redisPid: number;
  readonly namespace: string;
  readonly a: ReadThroughCache;
  readonly b: ReadThroughCache;
  /** In front of B's bus; of everything of B's where that cannot be told apart. */
  readonly busOfB: FaultProxy;
  /** A cache of the same kind, with no Redis behind its address. */
  createUnreachable(): Promise<ReadThroughCache>;
}

/** One promise. */
export interface Probe {
  readonly id: string;
  readonly title: string;
  /** Whether it makes sense for a cache that does not share anything between processes. */
  readonly wants: "one-process" | "bus" | "l2" | "redis";
  run(bench: ProbeBench): Promise<ProbeAnswer>;
}

const KEY = "model";
const DELIVERY_MS = 200;
/** Long past every budget: who has not answered by then waits for Redis to come back. */
const HUNG_MS = 1000;
/** What a reader may wait for a shared tier that does not answer. */
const BUDGET_MS = 60;

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** The database behind the caches. */
class Truth {
  version = 1;
  readonly load: LoadValue = async () => ({ version: this.version });

  /** A loader that reads now and answers when told. */
  slow(): { readonly load: LoadValue; readonly begun: Promise<void>; finish(): void } {
    let begin: () => void = () => {};
    let finish: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const load: LoadValue = async () => {
      const { version } = this;
      begin();
      await finished;
      return { version };
    };
    return { load, begun, finish: () => finish() };
  }
}

const versionOf = (answer: unknown): number | undefined => (answer as { version?: number } | undefined)?.version;

/** The answer, or `"late"` when it takes longer. */
async function within<T>(pending: T | Promise<T>, timeoutMs: number): Promise<T | "late"> {
  return Promise.race([pending, sleep(timeoutMs).then(() => "late" as const)]);
}

async function read(cache: ReadThroughCache, truth: Truth): Promise<number | undefined> {
  return versionOf(await cache.getOrSet(KEY, truth.load));
}

const freshOr = (wanted: number, seen: number | undefined): ProbeAnswer => ({
  isKept: seen === wanted,
  text: seen === wanted ? "new" : seen === undefined ? "no value" : "old",
});

function both(wanted: number, a: number | undefined, b: number | undefined): ProbeAnswer {
  const [first, second] = [freshOr(wanted, a), freshOr(wanted, b)];
  return { isKept: first.isKept && second.isKept, text: `A ${first.text}, B ${second.text}` };
}

/** Milliseconds until there is a value; else what came instead of it. */
async function timed(work: () => unknown): Promise<number | string> {
  const startedAt = performance.now();
  const answer = await within(
    Promise.resolve(work()).then(
      (value) => (value === undefined ? "no value" : "a value"),
      () => "throws",
    ),
    HUNG_MS,
  );
  if (answer === "late") return `hangs > ${HUNG_MS / 1000} s`;
  return answer === "a value" ? performance.now() - startedAt : answer;
}

const boundedOr = (slowest: number | string): ProbeAnswer =>
  typeof slowest === "string"
    ? { isKept: false, text: slowest }
    : { isKept: slowest <= BUDGET_MS + 40, text: `${slowest < 10 ? slowest.toFixed(1) : slowest.toFixed(0)} ms` };

/** Every experiment, in the order of the columns. */
export const probes: readonly Probe[] = [
  {
    id: "i1",
    title: "I1 own read after invalidate",
    wants: "one-process",
    run: async ({ a }) => {
      const truth = new Truth();
      await read(a, truth);
      truth.version = 2;
      await a.invalidate(KEY);
      return freshOr(2, await read(a, truth));
    },
  },
  {
    id: "i2",
    title: "I2 connected peer",
    wants: "bus",
    run: async ({ a, b }) => {
      const truth = new Truth();
      await read(a, truth);
      await read(b, truth);
      truth.version = 2;
      await a.invalidate(KEY);
      await sleep(DELIVERY_MS);
      return freshOr(2, await read(b, truth));
    },
  },
  {
    id: "i4-own",
    title: "I4 load in flight, own invalidate",
    wants: "one-process",
    run: async ({ a }) => {
      const truth = new Truth();
      const slow = truth.slow();
      const loading = a.getOrSet(KEY, slow.load);
      await slow.begun;
      truth.version = 2;
      await a.invalidate(KEY);
      slow.finish();
      await loading;
      await sleep(DELIVERY_MS);
      return freshOr(2, await read(a, truth));
    },
  },
  {
    id: "i4-peer",
    title: "I4 load on B, invalidate on A",
    wants: "l2",
    run: async ({ a, b }) => {
      const truth = new Truth();
      const slow = truth.slow();
      const loading = b.getOrSet(KEY, slow.load);
      await slow.begun;
      truth.version = 2;
      await a.invalidate(KEY);
      slow.finish();
      await loading;
      await sleep(DELIVERY_MS);
      return both(2, await read(a, truth), await read(b, truth));
    },
  },
  {
    id: "join",
    title: "I1 no joining of an older load",
    wants: "one-process",
    run: async ({ a }) => {
      const truth = new Truth();
      const slow = truth.slow();
      const first = a.getOrSet(KEY, slow.load);
      await slow.begun;
      truth.version = 2;
      await a.invalidate(KEY);
      const second = read(a, truth);
      await sleep(20);
      slow.finish();
      await first;
      return freshOr(2, await second);
    },
  },
  {
    id: "i3",
    title: "I3 missed message, then reconnected",
    wants: "bus",
    run: async ({ a, b, busOfB }) => {
      const truth = new Truth();
      await read(a, truth);
      await read(b, truth);
      await busOfB.set({ kind: "refuse" });
      // Until the reset has arrived, the message would get through.
      await sleep(DELIVERY_MS);
      truth.version = 2;
      await within(a.invalidate(KEY), HUNG_MS);
      await busOfB.heal();
      await sleep(1500);
      return freshOr(
        2,
        versionOf(
          await within(
            read(b, truth).then((version) => ({ version })),
            HUNG_MS,
          ),
        ),
      );
    },
  },
  {
    id: "i5",
    title: "I5 one load for 50 callers",
    wants: "one-process",
    run: async ({ a }) => {
      let loads = 0;
      const load = async (): Promise<unknown> => {
        loads += 1;
        await sleep(20);
        return { version: 1 };
      };
      await Promise.all(Array.from({ length: 50 }, async () => a.getOrSet(KEY, load)));
      return { isKept: loads === 1, text: loads === 1 ? "1 load" : `${loads} loads` };
    },
  },
  {
    id: "i6",
    title: "I6 loader fails under 20 callers",
    wants: "one-process",
    run: async ({ a }) => {
      let loads = 0;
      const load = async (): Promise<never> => {
        loads += 1;
        await sleep(20);
        throw new Error("the database is away");
      };
      const answers = await Promise.allSettled(Array.from({ length: 20 }, async () => a.getOrSet(KEY, load)));
      const rejected = answers.filter(({ status }) => status === "rejected").length;
      return { isKept: loads === 1 && rejected === 20, text: `${loads} ${loads === 1 ? "load" : "loads"}, ${rejected}/20 told` };
    },
  },
  {
    id: "i7-hung",
    title: "I7 miss with Redis hung",
    wants: "redis",
    run: async ({ a, redisPid }) => {
      const truth = new Truth();
      await read(a, truth);
      process.kill(redisPid, "SIGSTOP");
      try {
        return boundedOr(await timed(() => a.getOrSet("another", truth.load)));
      } finally {
        process.kill(redisPid, "SIGCONT");
      }
    },
  },
  {
    id: "i7-absent",
    title: "I7 miss, Redis never there",
    wants: "redis",
    run: async ({ createUnreachable }) => {
      const truth = new Truth();
      return boundedOr(
        await timed(async () => {
          const cache = await createUnreachable();
          return cache.getOrSet(KEY, truth.load);
        }),
      );
    },
  },
  {
    id: "i8",
    title: "I8 spoiled bytes in Redis",
    wants: "l2",
    run: async ({ a, b, redisUrl }) => {
      const truth = new Truth();
      await read(a, truth);
      await sleep(DELIVERY_MS);
      await spoilAll(redisUrl);
      truth.version = 2;
      const answer = await within(Promise.resolve(b.getOrSet(KEY, truth.load)), HUNG_MS);
      if (answer === "late") return { isKept: false, text: "hangs" };
      return versionOf(answer) === 2 ? { isKept: true, text: "a miss" } : { isKept: false, text: "served them" };
    },
  },
  {
    id: "i17",
    title: "I17 null is a value",
    wants: "one-process",
    run: async ({ a }) => {
      let loads = 0;
      const load = async (): Promise<null> => {
        loads += 1;
        return null;
      };
      await a.getOrSet(KEY, load);
      const again = await a.getOrSet(KEY, load);
      return { isKept: loads === 1 && again === null, text: loads === 1 ? "cached" : "loaded twice" };
    },
  },
];

/** Overwrites every string value with JSON of another shape, which a cache that trusts what it finds would hand out. */
async function spoilAll(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl);
  for (const key of await redis.keys("*")) {
    if ((await redis.type(key)) === "string") await redis.set(key, Buffer.from("[1,2]"), "KEEPTTL");
  }
  redis.disconnect();
}

/** Makes the two instances and runs one experiment with them. */
export async function runProbe(
  probe: Probe,
  contender: ReadThroughContender,
  setting: Pick<ReadThroughSetting, "namespace"> & { readonly redisUrl: string },
  redisPid: number,
  peers: Peers,
): Promise<ProbeAnswer> {
  const { namespace, redisUrl } = setting;
  const busOfB = await startFaultProxy(Number(new URL(redisUrl).port));
  const shared = { namespace, ttlMs: 60_000 };
  const a = await contender.create({ ...shared, redisUrl }, peers);
  const b = await contender.create({ ...shared, redisUrl, busUrl: busOfB.url }, peers);
  await within(Promise.all([a.ready(), b.ready()]), HUNG_MS);
  // Opens what is opened at the first call.
  for (const cache of [a, b]) await cache.getOrSet("warm", async () => ({ version: 0 }));
  await sleep(DELIVERY_MS);
  return probe.run({
    redisUrl,
    redisPid,
    namespace,
    a,
    b,
    busOfB,
    // Port 1 is refused everywhere.
    createUnreachable: () => contender.create({ ...shared, redisUrl: "redis://127.0.0.1:1" }, peers),
  });
}
