import { MessageChannel } from "node:worker_threads";
import { type InvalidationBus, MemoryInvalidationBus, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { freePort, ManualClock, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { createCoherentCache } from "../src/index.ts";
import { CoherenceWatcher, type Inconsistency, redisWatcherPort, type WatcherPort, workerWatcherPort } from "../src/watcher.ts";
import { threadLink, WorkerBusHub, WorkerInvalidationBus } from "../src/worker.ts";

const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Ports that reach each other in this process. */
function ports(): () => WatcherPort {
  const listeners = new Set<(text: string) => void>();
  return () => {
    let own: ((text: string) => void) | undefined;
    return {
      publish: (text) => {
        for (const listener of [...listeners]) listener(text);
      },
      open: (listener) => {
        own = listener;
        listeners.add(listener);
      },
      close: () => void (own && listeners.delete(own)),
    };
  };
}

/** A bus that proves itself and tells nothing: what a bug in the protocol would look like. */
function deafBus(): InvalidationBus {
  const bus = new MemoryInvalidationBus();
  return {
    originId: bus.originId,
    join: (namespace, listener) => bus.join(`${namespace}-elsewhere`, listener),
    close: () => bus.close(),
  };
}

function world(busB: InvalidationBus, busA: InvalidationBus) {
  const clock = new ManualClock();
  const namespace = uniquePrefix();
  const port = ports();
  const found: Inconsistency[] = [];
  const member = (bus: InvalidationBus) => {
    const l1 = new MemoryCache<StoredEntry<number>>({ maxEntries: 10, clock });
    const cache = createCoherentCache<number>({ l1, bus, namespace, clock, jitter: 0 });
    const watcher = new CoherenceWatcher({
      cache,
      namespace,
      port: port(),
      sampleRate: 1,
      clock,
      versionOf: (value) => value,
      onInconsistent: (finding) => found.push(finding),
    });
    opened.push(() => watcher.close());
    return { cache, watcher };
  };
  return { clock, found, member, a: member(busA), b: member(busB) };
}

describe("CoherenceWatcher", () => {
  it("refuses an option that there is not: nobody would be told of what it finds", () => {
    const cache = createCoherentCache<number>({ l1: new MemoryCache({ maxEntries: 10 }) });
    const options = { cache, namespace: "n", port: ports()(), onInconsistency: () => {} };
    expect(() => new CoherenceWatcher(options)).toThrow(/ERR_CACHE_INVALID_OPTION.*onInconsistent.*, got the string "onInconsistency"/);
  });

  it("asks after 1, 5 and 30 s and finds nothing where invalidations arrive", async () => {
    const bus = new MemoryInvalidationBus();
    const { clock, found, a, b } = world(bus, bus);
    await b.cache.get("k", () => 1);
    clock.advance(10_000);
    await a.cache.invalidate("k");
    await b.cache.get("k", () => 2);
    await a.cache.get("k", () => 2);
    for (const ms of [1_000, 4_000, 25_000]) await clock.advanceAsync(ms);
    const asked = { questions: 3, answers: 3, unanswered: 0, late: 0 };
    expect(a.watcher.stats()).toEqual({ invalidations: 1, sampled: 1, inconsistent: 0, ...asked, errors: 0 });
    expect(found).toEqual([]);
  });

  it("counts an invalidation that did not arrive once, however many peers and questions show it", async () => {
    const { clock, found, member, a, b } = world(deafBus(), new MemoryInvalidationBus());
    const peers = [b, member(deafBus()), member(deafBus())];
    for (const { cache } of peers) await cache.get("k", () => 1);
    await a.cache.invalidate("fine");
    clock.advance(10_000);
    await a.cache.invalidate("k");
    for (const ms of [1_000, 4_000, 25_000]) await clock.advanceAsync(ms);
    expect(found.length).toBeGreaterThanOrEqual(3 * peers.length);
    expect(a.watcher.stats()).toMatchObject({ invalidations: 2, sampled: 2, inconsistent: 1 });
  });

  it("counts the questions that nobody answers", async () => {
    const { clock, a, b } = world(new MemoryInvalidationBus(), new MemoryInvalidationBus());
    b.watcher.close();
    await a.cache.invalidate("k");
    for (const ms of [1_000, 4_000, 25_000]) await clock.advanceAsync(ms);
    expect(a.watcher.stats()).toMatchObject({ questions: 3, answers: 0, unanswered: 2 });
    await clock.advanceAsync(1_000);
    expect(a.watcher.stats().unanswered).toBe(3);
  });

  it("watches a thousand invalidations at one time, and others when the last question about those was asked", async () => {
    const { clock, a } = world(new MemoryInvalidationBus(), new MemoryInvalidationBus());
    const invalidate = async (count: number): Promise<number> => {
      for (let index = 0; index < count; index += 1) await a.cache.invalidate(`k${index}`);
      return a.watcher.stats().sampled;
    };
    expect(await invalidate(1_001)).toBe(1_000);
    for (const ms of [1_000, 4_000, 25_000]) await clock.advanceAsync(ms);
    expect(await invalidate(1)).toBe(1_000);
    await clock.advanceAsync(1_000);
    expect(await invalidate(1_001)).toBe(2_000);
  });

  it("refuses delays that are none or never come", () => {
    const { a } = world(new MemoryInvalidationBus(), new MemoryInvalidationBus());
    for (const delaysMs of [[], [Infinity], [1_000, 0], 5])
      expect(() => new CoherenceWatcher({ cache: a.cache, namespace: "n", port: ports()(), delaysMs: delaysMs as number[] })).toThrow(
        /ERR_CACHE_INVALID_OPTION.*delaysMs/,
      );
  });

  it("finds a peer that still holds what was stored before the invalidation", async () => {
    const { clock, found, a, b } = world(deafBus(), new MemoryInvalidationBus());
    await b.cache.get("k", () => 1);
    clock.advance(10_000);
    await a.cache.invalidate("k");
    await clock.advanceAsync(1_000);
    expect(a.watcher.stats()).toMatchObject({ questions: 1, inconsistent: 1 });
    expect(found).toMatchObject([{ key: "k", afterMs: 1_000 }]);
  });

  it("finds by its version an old value that was stored after the invalidation", async () => {
    const { clock, a, b } = world(deafBus(), new MemoryInvalidationBus());
    await a.cache.invalidate("k");
    await b.cache.get("k", () => 1);
    await a.cache.get("k", () => 2);
    for (const ms of [1_000, 3_000, 1_000]) await clock.advanceAsync(ms);
    expect(a.watcher.stats()).toMatchObject({ inconsistent: 1 });
  });

  // The version was compared with the one held at the moment of the question, which a peer 40 ms away had not been told of: 107 of 375 invalidations of
  // four keys that were written all the time counted as lost. Found by an experiment.
  it("takes no peer for inconsistent that has not been told yet of what was written a moment ago", async () => {
    const { clock, found, a, b } = world(deafBus(), new MemoryInvalidationBus());
    await a.cache.invalidate("k");
    for (const cache of [a.cache, b.cache]) await cache.get("k", () => 1);
    await clock.advanceAsync(4_100);
    await a.cache.set("k", 2);
    await clock.advanceAsync(900);
    expect(a.watcher.stats()).toMatchObject({ questions: 2, answers: 2 });
    expect(found).toEqual([]);
  });

  it("counts, and does not fail the process, when its cache is closed before it", async () => {
    const bus = new MemoryInvalidationBus();
    const { clock, a, b } = world(bus, bus);
    await a.cache.invalidate("k");
    await a.cache.close();
    await b.cache.close();
    await clock.advanceAsync(1_000);
    expect(a.watcher.stats()).toMatchObject({ questions: 0, errors: 1 });
  });

  it("judges the answers to its own questions alone, and none that comes later than a quarter of a second", async () => {
    const clock = new ManualClock();
    const namespace = uniquePrefix();
    const cache = createCoherentCache<number>({
      l1: new MemoryCache({ maxEntries: 10, clock }),
      bus: new MemoryInvalidationBus(),
      namespace,
      clock,
    });
    const port = ports();
    const [own, peer] = [port(), port()];
    const found: Inconsistency[] = [];
    const onInconsistent = (finding: Inconsistency): unknown => found.push(finding);
    const watcher = new CoherenceWatcher({ cache, namespace, port: own, sampleRate: 1, delaysMs: [1_000], clock, onInconsistent });
    opened.push(() => watcher.close());
    let question = { from: "", id: 0 };
    peer.open(
      (text) => {
        const message = JSON.parse(text) as typeof question & { kind: string };
        if (message.kind === "ask") question = message;
      },
      () => {},
    );
    const answer = (change: object): void =>
      peer.publish(
        JSON.stringify({ larder: 1, kind: "answer", from: "peer", to: question.from, id: question.id, ageMs: 5_000, ...change }),
      );
    const ask = async (): Promise<void> => {
      await cache.invalidate("k");
      await clock.advanceAsync(1_000);
    };
    const counts = (): unknown => {
      const { answers, late, inconsistent, unanswered } = watcher.stats();
      return { answers, late, inconsistent, unanswered };
    };
    await ask();
    answer({ to: "another" });
    expect(counts()).toEqual({ answers: 0, late: 0, inconsistent: 0, unanswered: 0 });
    answer({ id: question.id + 1 });
    expect(counts()).toEqual({ answers: 0, late: 1, inconsistent: 0, unanswered: 0 });
    // As old as the invalidation, and the slack: it may have been stored behind it.
    answer({ ageMs: 1_250 });
    answer({ ageMs: undefined, version: 1 });
    clock.advance(250);
    answer({ ageMs: 1_250 });
    expect(counts()).toEqual({ answers: 3, late: 1, inconsistent: 0, unanswered: 0 });
    answer({ ageMs: 1_251 });
    expect(counts()).toEqual({ answers: 4, late: 1, inconsistent: 1, unanswered: 0 });
    expect(found).toEqual([{ namespace, key: "k", peer: "peer", afterMs: 1_000 }]);
    await clock.advanceAsync(1_000);
    await ask();
    clock.advance(251);
    answer({});
    expect(counts()).toEqual({ answers: 4, late: 2, inconsistent: 1, unanswered: 0 });
    await clock.advanceAsync(749);
    answer({});
    expect(counts()).toEqual({ answers: 4, late: 3, inconsistent: 1, unanswered: 1 });
    expect(found).toHaveLength(1);
  });

  it("is deaf to what is not a watcher's message", async () => {
    const texts = ["", "{", "null", "[]", '{"larder":2}', '{"larder":1,"kind":"ask","from":"x","id":1,"key":{}}', "x".repeat(100_000)];
    const { a, b } = world(new MemoryInvalidationBus(), new MemoryInvalidationBus());
    const port = ports();
    const loose = port();
    const watcher = new CoherenceWatcher({ cache: a.cache, namespace: "n", port: port() });
    opened.push(() => watcher.close());
    for (const text of texts) loose.publish(text);
    expect(watcher.stats()).toMatchObject({ answers: 0, late: 0 });
    expect(b.watcher.stats()).toMatchObject({ questions: 0 });
  });

  it("asks over Redis", async () => {
    const client = new Redis(process.env.REDIS_URL as string, { lazyConnect: true });
    opened.push(() => client.disconnect());
    const namespace = uniquePrefix();
    const bus = new MemoryInvalidationBus();
    const [asker] = [1, 2].map(() => {
      const cache = createCoherentCache<number>({ l1: new MemoryCache({ maxEntries: 10 }), bus, namespace });
      const port = redisWatcherPort(client, `${namespace}:watch`);
      const watcher = new CoherenceWatcher({ cache, namespace, port, sampleRate: 1, delaysMs: [50, 100, 200] });
      opened.push(() => watcher.close());
      return { cache, watcher };
    });
    // On a busy machine the questions of one invalidation may be over before the connections stand.
    await waitUntil("an answer", async () => {
      await asker?.cache.invalidate("k");
      return (asker?.watcher.stats().answers ?? 0) > 0;
    });
    expect(asker?.watcher.stats().inconsistent).toBe(0);
  });

  it("is heard with a client that queues nothing and does not subscribe again by itself, and after connections were lost", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const client = new Redis(server.url, { enableOfflineQueue: false, autoResubscribe: false });
    client.on("error", () => {});
    opened.push(() => client.disconnect());
    const bus = new MemoryInvalidationBus();
    const cache = createCoherentCache<number>({ l1: new MemoryCache({ maxEntries: 10 }), bus, namespace: "watched" });
    const [asker] = [1, 2].map(() => {
      const port = redisWatcherPort(client, "watch");
      const watcher = new CoherenceWatcher({ cache, namespace: "watched", port, sampleRate: 1, delaysMs: [20] });
      opened.push(() => watcher.close());
      return watcher;
    });
    const answers = () => asker?.stats().answers ?? 0;
    for (const round of [1, 2]) {
      const before = answers();
      // Asked until it is answered: while the connections are being made, questions are lost.
      await waitUntil(`an answer in round ${round}`, async () => {
        await cache.invalidate("k");
        return answers() > before;
      });
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
  });

  it("counts what Redis does not take", async () => {
    const client = new Redis(`redis://127.0.0.1:${await freePort()}`, { lazyConnect: true });
    opened.push(() => client.disconnect());
    const cache = createCoherentCache<number>({
      l1: new MemoryCache({ maxEntries: 10 }),
      bus: new MemoryInvalidationBus(),
      namespace: "away",
    });
    const watcher = new CoherenceWatcher({
      cache,
      namespace: "away",
      port: redisWatcherPort(client, "watch"),
      sampleRate: 1,
      delaysMs: [1],
    });
    opened.push(() => watcher.close());
    await cache.invalidate("k");
    await waitUntil("the failure", () => watcher.stats().errors === 1);
  });

  it("asks a hub that listens later than the watcher", async () => {
    const [near, far] = [new MessageChannel(), new MessageChannel()];
    const clock = new ManualClock();
    const heard: string[] = [];
    const [asker, peer] = [near, far].map(({ port2 }) => workerWatcherPort(threadLink(port2), "watch", { clock }));
    opened.push(
      () => asker?.close(),
      () => peer?.close(),
    );
    peer?.open(
      (text) => heard.push(text),
      () => {},
    );
    // Until somebody listens at its other end, a thread's port drops nothing; a process's channel does, as this one does here.
    far.port1.on("message", () => {});
    await waitUntil("the first request is gone", () => true);
    far.port1.removeAllListeners("message");
    const hub = new WorkerBusHub();
    for (const { port1 } of [near, far]) hub.attachThread(port1);
    opened.push(
      () => hub.close(),
      () => near.port1.close(),
      () => far.port1.close(),
    );
    await waitUntil("it is heard", () => {
      clock.advance(250);
      asker?.publish("hello");
      return heard.includes("hello");
    });
  });

  it("asks the other workers of the machine", async () => {
    const hub = new WorkerBusHub();
    const namespace = uniquePrefix();
    const [asker] = [1, 2].map(() => {
      const { port1, port2 } = new MessageChannel();
      hub.attachThread(port1);
      const link = threadLink(port2);
      const bus = new WorkerInvalidationBus({ link });
      const cache = createCoherentCache<number>({ l1: new MemoryCache({ maxEntries: 10 }), bus, namespace });
      const watcher = new CoherenceWatcher({
        cache,
        namespace,
        port: workerWatcherPort(link, `${namespace}:watch`),
        sampleRate: 1,
        delaysMs: [30, 60, 90],
      });
      opened.push(
        () => port1.close(),
        () => bus.close(),
        () => watcher.close(),
      );
      return { cache, watcher };
    });
    await asker?.cache.ready();
    // On a busy machine the questions of one invalidation may be over before the connections stand.
    await waitUntil("an answer", async () => {
      await asker?.cache.invalidate("k");
      return (asker?.watcher.stats().answers ?? 0) > 0;
    });
    expect(asker?.watcher.stats()).toMatchObject({ inconsistent: 0, errors: 0 });
  });
});
