import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { Budget, CacheError, systemClock, systemRandom } from "@larder/cache-core";
import {
  BusRecorder,
  freePort,
  startFaultProxy,
  startRedisCluster,
  startRedisSentinel,
  startRedisServer,
  uniquePrefix,
  waitUntil,
} from "@larder/cache-testing";
import { Cluster, Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { type BusConnectionEvent, RedisInvalidationBus, type RedisInvalidationBusOptions } from "../src/index.ts";
import { createBodySigner } from "../src/signer.ts";
import { LaneRig } from "./lane-rig.ts";
import { LanesRig } from "./lanes-rig.ts";

const url = process.env.REDIS_URL as string;
const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function open(options: RedisInvalidationBusOptions): RedisInvalidationBus {
  const bus = new RedisInvalidationBus({ heartbeatMs: 50, ...options });
  opened.push(() => bus.close());
  return bus;
}

const call = (ms = 2_000) => ({ budget: new Budget(ms, systemClock) });
const key = (name: string) => ({ kind: "key", key: name }) as const;

describe("RedisInvalidationBus", () => {
  it("refuses options that are out of range, naming them", () => {
    for (const [name, value] of Object.entries({
      heartbeatMs: 0,
      timeoutMs: -1,
      logLength: 0.5,
      tagMs: Infinity,
      lanes: 0,
      keyPrefix: "{",
    })) {
      expect(() => new RedisInvalidationBus({ url, [name]: value }), name).toThrow(new RegExp(name));
    }
    expect(() => new RedisInvalidationBus({ url, prefix: "app" } as object)).toThrow(
      /the name of an option must be .* got the string "prefix"/,
    );
    // Truthy, it would have listened where nobody publishes.
    expect(() => new RedisInvalidationBus({ url, isSharded: "no" as never })).toThrow(/isSharded must be true or false/);
    // An empty secret's, null and the secret itself: nothing could be told, or what is heard would throw where nobody can catch it.
    for (const signer of ["", null, "a secret of some length", {}])
      expect(() => new RedisInvalidationBus({ url, signer: signer as never })).toThrow(
        /ERR_CACHE_INVALID_OPTION.*signer.sign must be a function/,
      );
    expect(() => new RedisInvalidationBus({})).toThrow(/exactly one of client, url and port/);
    expect(() => new RedisInvalidationBus({ client: {} as Redis })).toThrow(/client must be a Redis or Cluster/);
    const prefixed = new Redis(url, { lazyConnect: true, keyPrefix: "app:" });
    expect(() => new RedisInvalidationBus({ client: prefixed })).toThrow(/client must have no keyPrefix/);
    const cluster = new Cluster([url], { lazyConnect: true, redisOptions: { keyPrefix: "app:" } });
    expect(() => new RedisInvalidationBus({ client: cluster })).toThrow(/client must have no keyPrefix/);
  });

  // Each of them ended the process, by an unhandled rejection, or was taken for a path to a socket.
  it.each(["", "http://host", "redis://u:CANARY%oo@host", "redis://host:99999", "redis://host/x", "redis+sentinel://host"])(
    "refuses the url %j in the constructor, and quotes nothing of it",
    (bad) => {
      expect(() => new RedisInvalidationBus({ url: bad })).toThrow(/^\[ERR_CACHE_INVALID_OPTION\] url (?!.*CANARY)/);
    },
  );

  it("tells those who wait for it when its port can never work, such as without ioredis", async () => {
    const port = new LaneRig();
    const missing = new CacheError("ERR_CACHE_INVALID_OPTION", "url needs ioredis");
    port.open = ({ onError }) => queueMicrotask(() => onError(missing));
    const bus = open({ port });
    await expect(bus.join("early", new BusRecorder()).ready()).rejects.toBe(missing);
    await expect(bus.join("late", new BusRecorder()).ready()).rejects.toBe(missing);
  });

  // Regression: numbers went to Redis with an exponent, and each invalidation was refused; a timer that is too long for Node ended each call at once.
  it("tells why Redis is not there, and not with which password", async () => {
    await using server = await startRedisServer();
    await server.command("CONFIG", "SET", "requirepass", "right");
    for (const [address, word] of [
      [server.url, "NOAUTH"],
      [server.url.replace("//", "//:wrong@"), "WRONGPASS"],
      [`redis://127.0.0.1:${await freePort()}`, "ECONNREFUSED"],
    ] as const) {
      const bus = open({ url: address });
      bus.join("test", new BusRecorder());
      await waitUntil(`several errors, of ${word}`, () => bus.stats().lastError !== undefined && bus.stats().errors > 8);
      expect(bus.stats().lastError).toBe(word);
      expect(inspect(bus.stats())).not.toContain("wrong");
    }
  });

  it("takes limits that are larger than anything that can be counted", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const bus = open({ url: server.url, timeoutMs: 1e12, tagMs: 1e21, logLength: 1e21 });
    const channel = bus.join(uniquePrefix(), new BusRecorder());
    await channel.ready();
    // On a busy machine the first attempt to connect may have been given up.
    const { errors } = bus.stats();
    await server.command("CLIENT", "PAUSE", "50", "ALL");
    expect(await channel.invalidate({ kind: "tag", tag: "t" }, call(60_000))).toMatchObject({ seq: 1 });
    expect(bus.stats().errors).toBe(errors);
  });

  it("spreads its keys over the lanes of a cluster and is proved as far as the worst of them", async () => {
    const cluster = await startRedisCluster();
    opened.push(() => cluster.stop());
    const client = new Cluster([...cluster.nodes]);
    client.on("error", () => {});
    opened.push(() => client.disconnect());
    // By a list of hosts it is the same cluster, with as many lanes and sharded pub/sub.
    const hosts = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join();
    const [a, b] = [open({ client }), open({ url: `redis://${hosts}` })];
    const heard = new BusRecorder();
    const channelA = a.join("lanes", new BusRecorder());
    const channelB = b.join("lanes", heard);
    await Promise.all([channelA.ready(), channelB.ready()]);
    const keys = Array.from({ length: 64 }, (_, index) => `k${index}`);
    for (const name of keys) await channelA.invalidate(key(name), call());
    await channelA.invalidate({ kind: "all" }, call());
    await heard.proofOf(systemClock.now());
    expect(new Set(heard.targets.map((target) => (target.kind === "key" ? target.key : target.kind)))).toEqual(new Set([...keys, "all"]));
    // Once for each lane: each has an order of its own.
    expect(heard.targets.filter(({ kind }) => kind === "all")).toHaveLength(16);
    // The shards' subscriptions are lost: what was published meanwhile comes from the logs.
    await Promise.all(cluster.servers.map((server) => server.command("CLIENT", "KILL", "TYPE", "pubsub")));
    const missed = keys.map((name) => `missed-${name}`);
    for (const name of missed) await channelA.invalidate(key(name), call());
    await heard.proofOf(systemClock.now());
    const told = new Set(heard.targets.map((target) => (target.kind === "key" ? target.key : target.kind)));
    expect(missed.filter((name) => !told.has(name))).toEqual([]);
    await cluster.servers[1]?.kill();
    await waitUntil("the proof stands still", () => b.stats().lastProofAgeMs > 400);
    expect(b.stats().isConnected || b.stats().errors > 0).toBe(true);
    await cluster.servers[1]?.start();
    await heard.proofOf(systemClock.now());
  });

  it("proves more lanes than it sends calls at one time, and tells all of them", async () => {
    const keyPrefix = uniquePrefix();
    const options = { url, keyPrefix, lanes: 1_300, heartbeatMs: 1_000, timeoutMs: 10_000 };
    const heard = new BusRecorder();
    const [a, b] = [open(options), open(options)];
    const [channelA, channelB] = [a.join("many", new BusRecorder()), b.join("many", heard)];
    await Promise.all([channelA.ready(), channelB.ready()]);
    await channelA.invalidate({ kind: "all" }, call(30_000));
    await heard.until("every lane's", () => heard.heard.length === options.lanes);
  });

  it("does not doubt what it knows of one cache because another one joins", async () => {
    const bus = open({ url });
    const settled = bus.join(uniquePrefix(), new BusRecorder());
    await settled.ready();
    await settled.invalidate(key("k"), call());
    const { gaps, heartbeats } = bus.stats();
    const joined = Array.from({ length: 20 }, () => bus.join(uniquePrefix(), new BusRecorder()));
    await Promise.all(joined.map((channel) => channel.ready()));
    expect(bus.stats().gaps).toBe(gaps);
    // One for each that joined, and those of the rounds that are due every 50 ms: not twenty for each.
    expect(bus.stats().heartbeats - heartbeats).toBeLessThan(200);
  });

  it("proves itself however many invalidations wait for their answers", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const bus = open({ url: server.url, timeoutMs: 5_000 });
    const channel = bus.join("busy", new BusRecorder());
    await channel.ready();
    const { proofs, errors, heartbeats } = bus.stats();
    await server.command("CLIENT", "PAUSE", "400", "WRITE");
    const answers = Array.from({ length: 1_100 }, (_, index) =>
      channel.invalidate(key(`${index}`), call(5_000)).then(Boolean, () => false),
    );
    await waitUntil("heartbeats beside them", () => bus.stats().heartbeats > heartbeats + 2);
    expect((await Promise.all(answers)).filter(Boolean)).toHaveLength(1_024);
    await waitUntil("a proof", () => bus.stats().proofs > proofs);
    // Those that found no room, and no heartbeat among them.
    expect(bus.stats().errors - errors).toBe(1_100 - 1_024);
  });

  // Regression: they were asked beside the heartbeats, all at once: past a thousand lanes the port refused them, and heartbeats as well.
  it("asks for the logs of no more lanes at one time than it sends heartbeats", async () => {
    const lanes = 600;
    const port = new LanesRig(lanes);
    await open({ port, lanes, heartbeatMs: 60_000 }).join("logs", new BusRecorder()).invalidate({ kind: "all" }, call());
    const run = port.run.bind(port);
    let [asked, most, replays] = [0, 0, 0];
    port.run = async (script, keys, args) => {
      asked += 1;
      most = Math.max(most, asked);
      if (script.name === "replay") {
        replays += 1;
        await new Promise(setImmediate);
      }
      return run(script, keys, args).finally(() => {
        asked -= 1;
      });
    };
    open({ port, lanes, heartbeatMs: 60_000 }).join("logs", new BusRecorder());
    await waitUntil("every log was read", () => replays === lanes);
    expect(most).toBeLessThanOrEqual(256);
  });

  it("tells the lanes that are well of an invalidation of all, and the others alone when it is repeated", async () => {
    const port = new LanesRig(4);
    const bus = open({ port, lanes: 4, heartbeatMs: 60_000 });
    const channel = bus.join("shards", new BusRecorder());
    await channel.ready();
    port.dead = 1;
    const target = { kind: "all" } as const;
    await expect(channel.invalidate(target, call())).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    expect(port.appended).toEqual([1, 0, 1, 1]);
    await expect(channel.invalidate(target, { ...call(), isRepeat: true })).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    port.dead = undefined;
    expect(await channel.invalidate(target, { ...call(), isRepeat: true })).toMatchObject({ seq: 1 });
    expect(port.appended).toEqual([1, 1, 1, 1]);
    await channel.invalidate(target, call());
    expect(port.appended).toEqual([2, 2, 2, 2]);
  });

  it("follows a failover of Sentinel, whose first sentinel hangs, and takes the promoted replica for what it is: another server", async () => {
    const set = await startRedisSentinel();
    opened.push(() => set.stop());
    const hung = await startFaultProxy(set.sentinels[0]?.port as number);
    opened.push(() => hung.close());
    await hung.set({ kind: "black-hole" });
    const sentinels = [{ host: "127.0.0.1", port: hung.port }, ...set.sentinels];
    // A bus writes: it goes to the master whatever its client is for.
    const client = new Redis({ sentinels, name: set.name, role: "slave", lazyConnect: true });
    opened.push(() => client.disconnect());
    const hosts = sentinels.map(({ host, port }) => `${host}:${port}`).join();
    const [a, b] = [open({ client }), open({ url: `redis+sentinel://${hosts}/${set.name}` })];
    const [heardByA, heard] = [new BusRecorder(), new BusRecorder()];
    const channelA = a.join("sentinel", heardByA);
    const channelB = b.join("sentinel", heard);
    await Promise.all([channelA.ready(), channelB.ready()]);
    const before = await channelA.invalidate(key("before"), call());
    await heard.until("the one before", () => heard.heard.length === 1);
    const resets = heard.resets.length;
    await set.master.kill();
    await heard.until("a reset", () => heard.resets.length > resets, 15_000);
    await Promise.all([heard.proofOf(systemClock.now()), heardByA.proofOf(systemClock.now())]);
    const after = await channelA.invalidate(key("after"), call());
    expect(after.epoch).not.toBe(before.epoch);
    await heard.until("the one after", () => heard.targets.some((target) => target.kind === "key" && target.key === "after"));
  });

  // Regression: the caller's strategies were taken over, and the bus's own connections ended for good when no sentinel answered for a moment.
  it("goes on asking the sentinels for ever, also where the client that it was given gives up", async () => {
    const set = await startRedisSentinel();
    opened.push(() => set.stop());
    const proxy = await startFaultProxy(set.sentinels[0]?.port as number);
    opened.push(() => proxy.close());
    await proxy.set({ kind: "refuse" });
    const sentinels = [{ host: "127.0.0.1", port: proxy.port }];
    const client = new Redis({ sentinels, name: set.name, lazyConnect: true, updateSentinels: false, sentinelRetryStrategy: () => null });
    opened.push(() => client.disconnect());
    const bus = open({ client });
    const channel = bus.join("sentinel", new BusRecorder());
    await waitUntil("several errors", () => bus.stats().errors > 8);
    await proxy.heal();
    await channel.ready();
  });

  it("learns what it missed as soon as both connections are back, not a heartbeat later, whichever comes first", async () => {
    for (const slowest of ["data", "subscriber"] as const) {
      const proxy = await startFaultProxy(Number(new URL(url).port || 6379));
      opened.push(() => proxy.close());
      // Both are cut at one instant, the connection for scripts first: it waits 50 ms or 25 ms, the subscriber the other.
      let draws = 0;
      const random = {
        ...systemRandom,
        token: () => systemRandom.token(),
        next: () => ((draws++ % 2 === 0) === (slowest === "data") ? 0.999 : 0),
      };
      const options = { keyPrefix: uniquePrefix(), heartbeatMs: 60_000 };
      const heard = new BusRecorder();
      const channelA = open({ url, ...options }).join("back", new BusRecorder());
      const channelB = open({ url: proxy.url, ...options, random }).join("back", heard);
      await Promise.all([channelA.ready(), channelB.ready()]);
      await channelA.invalidate(key("heard"), call());
      await heard.until("the one before", () => heard.heard.length === 1);
      proxy.reset();
      await channelA.invalidate(key("missed"), call());
      await heard.until(`the one missed, ${slowest} last`, () =>
        heard.targets.some((target) => target.kind === "key" && target.key === "missed"),
      );
      expect(heard.targets.at(0)).toEqual(key("heard"));
      expect(heard.targets.at(-1)).toEqual(key("missed"));
    }
  });

  // A proxy whose backend is gone takes a connection and loses what is said on it; TCP sees nothing wrong, so nothing ever ended it.
  it.each([
    ["a url", false],
    ["a client that waits for ever", true],
  ])("gives a subscriber up whose first commands nobody answers, opened from %s", async (_from, isClient) => {
    const proxy = await startFaultProxy(Number(new URL(url).port || 6379));
    opened.push(() => proxy.close());
    await proxy.set({ kind: "black-hole" });
    const client = isClient && new Redis(proxy.url, { lazyConnect: true });
    const bus = open({ ...(client ? { client } : { url: proxy.url }), keyPrefix: uniquePrefix() });
    bus.join("cache", new BusRecorder());
    // Both were made, as far as TCP can tell, and at least the one for scripts has been given up: the other has asked in vain as well.
    await waitUntil("one has been made anew", () => proxy.acceptedConnections >= 3);
    await proxy.heal();
    await waitUntil("it is proved", () => bus.stats().proofs > 0);
  });

  it("invalidates while Redis's memory is full (F16)", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const bus = open({ url: server.url });
    const heard = new BusRecorder();
    const channel = bus.join("full", new BusRecorder());
    open({ url: server.url }).join("full", heard);
    await channel.ready();
    await heard.until("its first proof", () => heard.proofs.length > 0);
    await server.command("CONFIG", "SET", "maxmemory", "1");
    await channel.invalidate(key("k"), call());
    await channel.invalidate({ kind: "tag", tag: "t" }, call());
    await heard.until("both", () => heard.heard.length === 2);
  });

  it("reads a long gap from the log, and drops everything when the log is shorter than the gap", async () => {
    for (const { missed, isCovered } of [
      { missed: 1_200, isCovered: true },
      { missed: 3_000, isCovered: false },
    ]) {
      const server = await startRedisServer();
      opened.push(() => server.stop());
      const heard = new BusRecorder();
      const options = { url: server.url, logLength: 1_500 };
      const [a, b] = [open(options), open(options)];
      const channelA = a.join("gap", new BusRecorder());
      const channelB = b.join("gap", heard);
      await Promise.all([channelA.ready(), channelB.ready()]);
      const resets = heard.resets.length;
      // Lost to everyone: appended, and never published.
      const epoch = String(await server.command("HGET", "larder:{gap.0}:version", "epoch"));
      const script = `for index = 1, ${missed} do redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1500, redis.call('HINCRBY', KEYS[1], 'seq', 1) .. '-0', 'b', ARGV[1]) end`;
      await server.command("EVAL", script, "2", "larder:{gap.0}:version", "larder:{gap.0}:log", '["x","key","k"]');
      await heard.proofOf(systemClock.now());
      expect(heard.heard.length > 0).toBe(isCovered);
      expect(heard.resets.slice(resets)).toEqual(isCovered ? [] : ["log-lost"]);
      if (isCovered) expect(b.stats()).toMatchObject({ replays: 1, replayed: missed });
      await waitUntil("a version to judge by", () => channelB.version(0) !== undefined);
      expect(channelB.version(0)).toMatchObject({ epoch, seq: missed });
    }
  });

  it("obeys only those who sign, where it has a secret", async () => {
    const keyPrefix = uniquePrefix();
    const signer = createBodySigner("a secret of some length");
    const heard = new BusRecorder();
    const signed = open({ url, keyPrefix, signer }).join("signed", new BusRecorder());
    const receiver = open({ url, keyPrefix, signer });
    const channel = receiver.join("signed", heard);
    await Promise.all([signed.ready(), channel.ready()]);
    await signed.invalidate(key("genuine"), call());
    await heard.until("the genuine one", () => heard.heard.length === 1);
    const stranger = new Redis(url);
    opened.push(() => stranger.disconnect());
    const epoch = await stranger.hget(`${keyPrefix}:{signed.0}:version`, "epoch");
    await stranger.publish(`${keyPrefix}:{signed.0}:bus`, `1 ${epoch} 2 ["x","all",""]`);
    await waitUntil("the stranger is found out", () => receiver.stats().malformed === 1);
    await heard.proofOf(systemClock.now());
    expect(heard.targets).toEqual([key("genuine")]);
  });

  it("takes an answer that lay in the socket while this process was busy for one that came in time", async () => {
    const channel = open({ url }).join(uniquePrefix(), new BusRecorder());
    await channel.ready();
    const told = channel.invalidate(key("k"), call(50));
    const busyUntil = performance.now() + 200;
    // Once the command has left: a loop that does not end for a while, as a large answer being parsed is.
    setImmediate(() => {
      while (performance.now() < busyUntil);
    });
    await expect(told).resolves.toMatchObject({ seq: 1 });
  });

  it("needs no more of Redis's ACL than its page says", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const rights =
      "~larder:* &larder:* +info +evalsha +eval +subscribe +unsubscribe +publish +hget +hset +hdel +hmget +hincrby +xadd +xrange +del +set +time";
    await server.command("ACL", "SETUSER", "bus", "on", ">secret", ...rights.split(" "));
    const heard = new BusRecorder();
    const limited = `redis://bus:secret@127.0.0.1:${server.port}`;
    const [a, b] = [open({ url: limited }).join("acl", new BusRecorder()), open({ url: limited }).join("acl", heard)];
    await Promise.all([a.ready(), b.ready()]);
    await a.invalidate(key("k"), call());
    await a.invalidate({ kind: "tag", tag: "t" }, call());
    await heard.until("both", () => heard.heard.length === 2);
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    await a.invalidate({ kind: "pattern", pattern: "p*" }, call());
    await heard.until("the one from the log, or heard", () => heard.heard.length === 3);
  });

  it("fails within the budget and quotes nothing of the command when Redis refuses (I9)", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const channel = open({ url: server.url }).join("secret", new BusRecorder());
    await channel.ready();
    await server.command("ACL", "SETUSER", "default", "-xadd");
    const refusal: unknown = await channel.invalidate(key("sk-canary"), call()).catch((error: unknown) => error);
    expect(CacheError.is(refusal) && refusal.code).toBe("ERR_CACHE_BACKEND");
    expect(inspect(refusal, { depth: 10 })).not.toContain("sk-canary");
    await server.kill();
    const startedAt = performance.now();
    await expect(channel.invalidate(key("k"), call(50))).rejects.toMatchObject({ retryable: true });
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it("tells when its connection comes, goes, or turns out to be deaf", async () => {
    const server = await startRedisServer({ port: await freePort() });
    opened.push(() => server.stop());
    const states: string[] = [];
    const bus = open({ url: server.url });
    const listen = (message: unknown): void => {
      const event = message as BusConnectionEvent;
      if (event.originId === bus.originId) states.push(event.state);
    };
    subscribe("larder:bus-connection", listen);
    opened.push(() => unsubscribe("larder:bus-connection", listen));
    const channel = bus.join("states", new BusRecorder());
    await channel.ready();
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    await waitUntil("it is back", () => states.length >= 3);
    expect(states.slice(0, 3)).toEqual(["subscribed", "lost", "subscribed"]);
  });

  it("leaves nothing behind that keeps a test's process or a timer alive, whenever it is closed", async () => {
    for (const wait of [0, 1, 20]) {
      const bus = new RedisInvalidationBus({ url });
      bus.join("brief", new BusRecorder());
      await new Promise((resolve) => setTimeout(resolve, wait));
      bus.close();
      expect(bus.stats().isConnected).toBe(false);
    }
  });
});
