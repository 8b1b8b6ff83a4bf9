import { encodeBody } from "@larder/cache-core";
import { waitUntil } from "@larder/cache-testing";
import { afterEach, describe, expect, it } from "vitest";
import { caughtUp, type Fleet, MAX_STALENESS_MS, startFleet } from "./fleet.ts";

// Fault cases F1 to F11 and F20 to F22 of docs/failure-modes, over two processes' worth of instances and a real Redis.

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.close();
  fleet = undefined;
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each([false, true])("with a second tier: %s", (hasSecondTier) => {
  const start = async (options = {}): Promise<Fleet> => {
    fleet = await startFleet(hasSecondTier, options);
    return fleet;
  };

  it("F1: a load that an invalidation in the same process overtook is kept nowhere", async () => {
    const { a, b } = await start();
    const slow = a.readSlowly();
    await slow.begun;
    await a.write();
    slow.finish();
    expect(await slow.answer).toBe(0);
    expect([await a.read(), await b.read()]).toEqual([1, 1]);
  });

  it("F2: a load that an invalidation in another process overtook is kept nowhere", async () => {
    const { a, b } = await start();
    const slow = b.readSlowly();
    await slow.begun;
    await a.write();
    await waitUntil("b hears", () => b.cache.stats().remoteInvalidations === 1);
    slow.finish();
    expect(await slow.answer).toBe(0);
    expect([await a.read(), await b.read()]).toEqual([1, 1]);
  });

  it("F4: a read after an invalidation does not join the load from before", async () => {
    const { a } = await start();
    const slow = a.readSlowly();
    await slow.begun;
    const written = a.write();
    expect(await a.read()).toBe(1);
    await written;
    slow.finish();
    expect(await slow.answer).toBe(0);
    expect(await a.read()).toBe(1);
  });

  it("F5: a connection cut while the message is on its way costs nothing but the way round", async () => {
    const { a, b } = await start();
    await b.read();
    await b.read("untouched");
    const written = a.write();
    b.busProxy.reset();
    await written;
    await caughtUp(b);
    expect(await b.read()).toBe(1);
    expect(b.cache.lookup("untouched")).toMatchObject({ status: "hit", tier: "l1" });
    expect(b.bus.stats().resets).toBe(0);
  });

  it("F6: the subscriber's connection alone is lost: what was missed is read from the log", async () => {
    const { server, a, b } = await start();
    await b.read();
    for (let round = 1; round <= 3; round += 1) {
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await a.write();
      await caughtUp(b);
      expect(await b.read()).toBe(round);
    }
    expect(b.bus.stats().resets).toBe(0);
  });

  it("F8: a stall: what is served is no older than promised, and after it nothing old", async () => {
    const { database, a, b } = await start();
    await b.read();
    await b.busProxy.set({ kind: "stall" });
    await b.storeProxy.set({ kind: "stall" });
    const stalledAt = performance.now();
    await a.write();
    while (performance.now() < stalledAt + 3 * MAX_STALENESS_MS) {
      const beganAt = performance.now();
      const value = await b.read();
      if (value !== 1) expect(beganAt - stalledAt).toBeLessThan(MAX_STALENESS_MS + 50);
      await sleep(20);
    }
    expect(await b.read()).toBe(1);
    database.set("k", 2);
    await a.cache.invalidate("k");
    await b.busProxy.heal();
    await b.storeProxy.heal();
    await caughtUp(b);
    expect(await b.read()).toBe(2);
  });

  it("F9: a server that restarts empty takes nothing old along", async () => {
    const { server, a, b } = await start();
    expect([await a.read(), await b.read()]).toEqual([0, 0]);
    await server.kill();
    const written = await a.write();
    await server.start();
    await waitUntil("nothing waits at a", async () => written.propagated || (await a.cache.invalidate("other")).pending === 0);
    await caughtUp(a, b);
    expect([await a.read(), await b.read()]).toEqual([1, 1]);
    expect(b.bus.stats().resets).toBeGreaterThan(0);
  });

  it("F10: a server that comes back with an old dump gives none of it", async () => {
    const { server, a, b } = await start({ settings: { dbfilename: "old.rdb" } });
    expect([await a.read(), await b.read()]).toEqual([0, 0]);
    await server.command("SAVE");
    await a.write();
    await waitUntil("b hears", () => b.cache.stats().remoteInvalidations === 1);
    await server.restart();
    expect(await a.read()).toBe(1);
    await caughtUp(a, b);
    await b.cache.clear();
    expect([await a.read(), await b.read()]).toEqual([1, 1]);
    expect(a.bus.stats().resets + b.bus.stats().resets).toBeGreaterThan(0);
  });

  it("F11: an invalidation while Redis is down holds here at once, and everywhere after it is back", async () => {
    const { server, a, b } = await start({ isPersistent: true });
    expect([await a.read(), await b.read()]).toEqual([0, 0]);
    await server.kill();
    expect(await a.write()).toMatchObject({ propagated: false, pending: 1 });
    expect(await a.read()).toBe(1);
    await server.start();
    expect(await a.read()).toBe(1);
    await waitUntil("nothing waits", async () => (await a.cache.invalidate("other")).pending === 0);
    await caughtUp(a, b);
    expect([await a.read(), await b.read()]).toEqual([1, 1]);
  });

  it("F22: an invalidation of all during a hundred loads leaves none of them behind", async () => {
    const { database, a, b } = await start();
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    const slow = keys.map((key, index) => (index % 2 ? a : b).readSlowly(key));
    await Promise.all(slow.map(({ begun }) => begun));
    for (const key of keys) database.set(key, 1);
    await a.cache.invalidateAll();
    await waitUntil("b hears", () => b.cache.stats().remoteInvalidations === 1);
    for (const { finish } of slow) finish();
    expect(await Promise.all(slow.map(({ answer }) => answer))).toEqual(keys.map(() => 0));
    expect(await Promise.all(keys.map((key) => a.read(key)))).toEqual(keys.map(() => 1));
    expect(await Promise.all(keys.map((key) => b.read(key)))).toEqual(keys.map(() => 1));
  });
});

describe("with a second tier alone", () => {
  it("F3: a reply of the second tier that is slower than the message does not bring the old value back", async () => {
    fleet = await startFleet(true);
    const { a, b } = fleet;
    await a.read();
    await b.storeProxy.set({ kind: "latency", latencyMs: 60 });
    const reading = b.read();
    await sleep(30);
    await a.write();
    await waitUntil("b hears", () => b.cache.stats().remoteInvalidations === 1);
    await reading;
    expect(await b.read()).toBe(1);
  });
});

describe("without a second tier", () => {
  it("F7: without a way for commands nothing is proved, though messages still arrive and are obeyed", async () => {
    fleet = await startFleet(false);
    const { a, b } = fleet;
    await b.read();
    await b.read("other");
    await b.busProxy.set({ kind: "black-hole-up" });
    await a.write();
    await waitUntil("b hears", () => !b.cache.has("k"));
    // Counted from its own capture, which may be later than the last proof.
    await waitUntil("b serves nothing unproven", () => !b.cache.has("other"));
    expect(b.bus.stats().lastProofAgeMs).toBeGreaterThan(MAX_STALENESS_MS);
    await b.busProxy.heal();
    await caughtUp(b);
    expect(await b.read()).toBe(1);
  });

  it("F20: obeys a message that comes again, because its place may be forged, and its own not at all", async () => {
    fleet = await startFleet(false);
    const { server, a, b } = fleet;
    await a.write();
    await waitUntil("b hears", () => b.cache.stats().remoteInvalidations === 1);
    const [epoch, origin] = [String(await server.command("HGET", "larder:{fleet.0}:version", "epoch")), `${a.bus.originId}.1`];
    const message = `1 ${epoch} 1 ${encodeBody(origin, { kind: "key", key: "k" })}`;
    for (let round = 0; round < 3; round += 1) await server.command("PUBLISH", "larder:{fleet.0}:bus", message);
    await waitUntil("the repetitions", () => b.bus.stats().duplicates === 3);
    expect(b.bus.stats().messages).toBe(1);
    expect(b.cache.stats().remoteInvalidations).toBe(4);
    expect(a.cache.stats().remoteInvalidations).toBe(0);
    expect(a.bus.stats()).toMatchObject({ ownEchoes: 1, duplicates: 3 });
  });

  it("F21: counts what it cannot read, and goes on", async () => {
    fleet = await startFleet(false);
    const { server, a, b } = fleet;
    await b.read("kept");
    const epoch = String(await server.command("HGET", "larder:{fleet.0}:version", "epoch"));
    const garbage = [
      "",
      "not a message",
      `1 ${epoch} 1 {"__proto__":{"polluted":1}}`,
      `1 ${epoch} 1 ["x","__proto__","y"]`,
      `1 ${epoch} -1 ["x","all",""]`,
      `1 ${epoch} 99999999999999999999 ["x","all",""]`,
      `9 ${epoch} 1 ["x","all",""]`,
      `1 ${epoch} 1 ${"[".repeat(10_000)}`,
      `1 ${epoch} 1 ["x","key","${"k".repeat(1_100_000)}"]`,
    ];
    for (const text of garbage) await server.command("PUBLISH", "larder:{fleet.0}:bus", text);
    await waitUntil("all of it", () => b.bus.stats().malformed === garbage.length);
    expect(({} as { polluted?: number }).polluted).toBe(undefined);
    // On a busy machine the proof may be away for a moment; what was dropped would not come back with it.
    await waitUntil("it is kept", () => b.cache.has("kept"));
    await a.write();
    await waitUntil("the next one", () => b.cache.stats().remoteInvalidations === 1);
  });

  it("F21: a place far ahead that nothing fills is found out and costs one look at the log", async () => {
    fleet = await startFleet(false);
    const { server, b } = fleet;
    const epoch = String(await server.command("HGET", "larder:{fleet.0}:version", "epoch"));
    await server.command("PUBLISH", "larder:{fleet.0}:bus", `1 ${epoch} 4711 ["x","key","k"]`);
    await waitUntil("the look", () => b.bus.stats().gaps > 0);
    await caughtUp(b);
    await b.read();
    expect(b.cache.has("k")).toBe(true);
  });

  it("sec S19: a flood of messages is bounded in what it costs", async () => {
    fleet = await startFleet(false);
    const { server, b } = fleet;
    await b.read();
    const epoch = String(await server.command("HGET", "larder:{fleet.0}:version", "epoch"));
    const script = "for index = 1, 50000 do redis.call('PUBLISH', KEYS[1], ARGV[1]) end";
    const message = `1 ${epoch} 1 ["x","all",""]`;
    await server.command("EVAL", script, "1", "larder:{fleet.0}:bus", message);
    await caughtUp(b);
    await b.read();
    expect(b.cache.has("k")).toBe(true);
    expect(b.bus.stats().lastProofAgeMs).toBeLessThan(1_000);
  });
});
