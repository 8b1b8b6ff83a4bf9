import { MessageChannel } from "node:worker_threads";
import { MemoryInvalidationBus, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import {
  describeBus,
  describeReadThroughCache,
  ManualClock,
  startFaultProxy,
  startRedisCluster,
  startRedisServer,
  uniquePrefix,
} from "@larder/cache-testing";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis6 } from "ioredis-6";
import * as testApi from "vitest";
import { afterAll, beforeAll } from "vitest";
import { type CoherentCache, createCoherentCache, type IoredisClient, RedisInvalidationBus } from "../src/index.ts";
import { threadLink, WorkerBusHub, WorkerInvalidationBus, type WorkerLink } from "../src/worker.ts";

const url = process.env.REDIS_URL as string;

describeBus("MemoryInvalidationBus", {
  testApi,
  create: () => {
    const bus = new MemoryInvalidationBus();
    return { a: bus, b: bus };
  },
  lacks: [
    { capability: "cut", reason: "one process cannot be cut off from itself" },
    { capability: "forget", reason: "it ends with its process" },
  ],
});

const heartbeatMs = 50;

const clock = new ManualClock();

describeReadThroughCache("CoherentCache over MemoryCache and RedisInvalidationBus", {
  testApi,
  create: async () => {
    const keyPrefix = uniquePrefix();
    const buses = [
      new RedisInvalidationBus({ url, keyPrefix, heartbeatMs }),
      new RedisInvalidationBus({ url, keyPrefix, heartbeatMs }),
    ] as const;
    // The caches' time is turned by hand, the bus's is the machine's: what it proves has no end, or each would be judged by the other's time.
    const make = async (bus: RedisInvalidationBus): Promise<CoherentCache<unknown>> => {
      const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries: 100 });
      const cache = createCoherentCache<unknown>({ l1, bus, clock, maxStalenessMs: Infinity, backendBudgetMs: 2_000 });
      await cache.ready();
      return cache;
    };
    return {
      a: await make(buses[0]),
      b: await make(buses[1]),
      dispose: async () => {
        for (const bus of buses) await bus.close();
      },
    };
  },
  advance: (ms) => clock.advance(ms),
});

describeBus("RedisInvalidationBus", {
  testApi,
  create: () => {
    const client = new Redis(url, { lazyConnect: true });
    const keyPrefix = uniquePrefix();
    const forget = async (): Promise<void> => {
      for (const key of await client.keys(`${keyPrefix}:*`)) await client.del(key);
    };
    return {
      a: new RedisInvalidationBus({ client, keyPrefix, heartbeatMs }),
      b: new RedisInvalidationBus({ url, keyPrefix, heartbeatMs }),
      forget,
      dispose: () => client.disconnect(),
    };
  },
  lacks: [{ capability: "cut", reason: "shown behind the fault proxy" }],
});

describeBus("RedisInvalidationBus over ioredis 6", {
  testApi,
  create: () => {
    const client = new Redis6(url, { lazyConnect: true }) as unknown as IoredisClient;
    const shared = { client, keyPrefix: uniquePrefix(), heartbeatMs };
    return { a: new RedisInvalidationBus(shared), b: new RedisInvalidationBus(shared), dispose: () => client.disconnect() };
  },
  lacks: [
    { capability: "cut", reason: "shown behind the fault proxy" },
    { capability: "forget", reason: "shown with ioredis 5" },
  ],
});

for (const kind of ["stall", "refuse", "black-hole"] as const) {
  describeBus(`RedisInvalidationBus behind a network that can ${kind}`, {
    testApi,
    create: async () => {
      const proxy = await startFaultProxy(Number(new URL(url).port));
      const keyPrefix = uniquePrefix();
      return {
        a: new RedisInvalidationBus({ url, keyPrefix, heartbeatMs }),
        b: new RedisInvalidationBus({ url: proxy.url, keyPrefix, heartbeatMs }),
        cut: () => proxy.set({ kind }),
        heal: () => proxy.heal(),
        dispose: () => proxy.close(),
      };
    },
    lacks: [{ capability: "forget", reason: "shown without the proxy" }],
  });
}

testApi.describe("on a server of its own", () => {
  let server: Awaited<ReturnType<typeof startRedisServer>>;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.stop());

  describeBus("RedisInvalidationBus on a server that restarts empty", {
    testApi,
    create: () => {
      const client = new Redis(server.url, { lazyConnect: true });
      return {
        a: new RedisInvalidationBus({ client, heartbeatMs }),
        b: new RedisInvalidationBus({ client, heartbeatMs }),
        forget: () => server.restart(),
        dispose: () => client.disconnect(),
      };
    },
    lacks: [{ capability: "cut", reason: "shown behind the fault proxy" }],
  });
});

testApi.describe("on a cluster", () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.stop());

  for (const isSharded of [true, false]) {
    describeBus(`RedisInvalidationBus on a cluster, ${isSharded ? "sharded" : "classic"} pub/sub`, {
      testApi,
      create: () => {
        const client = new Cluster([...cluster.nodes], { lazyConnect: true });
        const shared = { client, keyPrefix: uniquePrefix(), heartbeatMs, isSharded, lanes: 1 };
        return { a: new RedisInvalidationBus(shared), b: new RedisInvalidationBus(shared), dispose: () => client.disconnect() };
      },
      lacks: [
        { capability: "cut", reason: "shown on a single server" },
        { capability: "forget", reason: "shown on a single server" },
      ],
    });
  }
});

describeBus("WorkerInvalidationBus in the primary process", {
  testApi,
  create: () => {
    const hub = new WorkerBusHub();
    return { a: hub.createBus({ heartbeatMs }), b: hub.createBus({ heartbeatMs }), dispose: () => hub.close() };
  },
  lacks: [
    { capability: "cut", reason: "shown over threads" },
    { capability: "forget", reason: "a primary that forgets has ended, and its workers with it" },
  ],
});

describeBus("WorkerInvalidationBus between threads", {
  testApi,
  create: () => {
    const hub = new WorkerBusHub();
    const [near, far] = cuttable();
    hub.attachThread(near.port1);
    hub.attachThread(far.port1);
    return {
      a: new WorkerInvalidationBus({ link: threadLink(near.port2), heartbeatMs }),
      b: new WorkerInvalidationBus({ link: far.link, heartbeatMs }),
      cut: () => far.cut(true),
      heal: () => far.cut(false),
      dispose: () => {
        hub.close();
        near.port1.close();
        far.port1.close();
      },
    };
  },
  lacks: [{ capability: "forget", reason: "a primary that forgets has ended, and its workers with it" }],
});

/** Two channels between threads; what is sent to the second one's end while it is cut is lost, both ways. */
function cuttable() {
  const near = new MessageChannel();
  const { port1, port2 } = new MessageChannel();
  const whole = threadLink(port2);
  let isCut = false;
  const cut = (value: boolean): void => {
    isCut = value;
  };
  const link: WorkerLink = {
    send: (message) => {
      if (!isCut) whole.send(message);
    },
    listen: (onMessage, onClosed) => whole.listen((message) => (isCut ? undefined : onMessage(message)), onClosed),
  };
  return [near, { port1, link, cut }] as const;
}
