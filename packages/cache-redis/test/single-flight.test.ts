import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, TieredCache } from "@larder/cache-core";
import { type Fault, ManualClock, NaiveCache, startFaultProxy, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { bundleProgram } from "../../../scripts/bundle-program.ts";
import { call, openCache, plain, prompt, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
const folder = mkdtempSync(join(tmpdir(), "larder-owner-"));
afterAll(() => {
  client.disconnect();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts `lease-owner.ts` as a process of its own, and waits until it has the lease. */
async function forkOwner(args: string[]): Promise<ChildProcess> {
  const outfile = await bundleProgram(join(import.meta.dirname, "lease-owner.ts"), join(folder, "lease-owner.mjs"));
  const owner = fork(outfile, args);
  expect(await new Promise((resolve) => owner.once("message", resolve))).toBe("owned");
  return owner;
}

test("one process owns the lease, the others wait and are woken by the fill", async () => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const b = await openCache<string>({ client, keyPrefix });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  expect(owned?.lease).toBe("owned");
  expect(held?.lease).toBe("held");
  if (!owned || !held) return;
  const outcome = b.awaitFill(held, call());
  expect(await a.fill(owned, "value", plain)).toBe("stored");
  expect(await outcome).toBe("stored");
  expect(await b.get("key")).toBe("value");
  await Promise.all([a.close(), b.close()]);
});

test.each(["not-stored", "failed"] as const)("a lease given back as %s tells the waiters so", async (told) => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const b = await openCache<string>({ client, keyPrefix });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const outcome = b.awaitFill(held, call());
  // The subscription must stand, or the probe would find the lease gone and say "failed" in both cases.
  await expect.poll(() => client.pubsub("NUMSUB", `${keyPrefix}:{test.0}:w:key`)).toContain(1);
  await a.release(owned, told);
  expect(await outcome).toBe(told);
  expect((await b.reserve("key", true, call()))?.lease).toBe("owned");
  await Promise.all([a.close(), b.close()]);
});

// Regression: the script that ends the lease was refused, and those who waited did so until it had run out, two seconds after the load.
test("a value that Redis has no memory for ends the wait all the same", async () => {
  await using server = await startRedisServer();
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ url: server.url, keyPrefix });
  const b = await openCache<string>({ url: server.url, keyPrefix });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const outcome = b.awaitFill(held, call());
  await expect.poll(async () => String(await server.command("PUBSUB", "NUMSUB", `${keyPrefix}:{test.0}:w:key`))).toContain(",1");
  await server.command("CONFIG", "SET", "maxmemory", "1");
  expect(await a.fill(owned, "value", plain)).toBe("failed");
  // A lease that has run out tells nothing: "failed".
  expect(await outcome).toBe("not-stored");
  await Promise.all([a.close(), b.close()]);
});

test("a fill that ended before the wait began is found", async () => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const b = await openCache<string>({ client, keyPrefix });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!owned || !held) throw new Error("no reservation");
  await a.fill(owned, "value", plain);
  expect(await b.awaitFill(held, call())).toBe("stored");
  await Promise.all([a.close(), b.close()]);
});

test("an invalidation wakes the waiters and frees the lease for the next generation", async () => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const b = await openCache<string>({ client, keyPrefix });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const outcome = b.awaitFill(held, call());
  await expect.poll(() => client.pubsub("NUMSUB", `${keyPrefix}:{test.0}:w:key`)).toContain(1);
  await b.invalidate({ kind: "key", key: "key" }, call());
  expect(await outcome).toBe("not-stored");
  expect((await b.reserve("key", true, call()))?.lease).toBe("owned");
  expect(await a.fill(owned, "old", plain)).toBe("rejected");
  const third = await b.reserve("all", true, call());
  await a.invalidate({ kind: "all" }, call());
  expect(third?.lease).toBe("owned");
  expect((await a.reserve("all", true, call()))?.lease).toBe("owned");
  await Promise.all([a.close(), b.close()]);
});

// Regression: the lease stood for its two seconds, and so long waited all others for a load that had been made without it.
test("a lease of which no answer comes in time is given back by who asked for it", async () => {
  await using server = await startRedisServer();
  const proxy = await startFaultProxy(server.port);
  const a = await openCache<string>({ url: proxy.url, keyPrefix: "p" });
  const b = await openCache<string>({ url: server.url, keyPrefix: "p" });
  // The server is to know the script already: it cannot say that it does not.
  const former = await a.reserve("another", true, call());
  if (former) await a.release(former, "failed");
  await proxy.set({ kind: "black-hole-down" });
  const late = a.reserve("key", true, call(500));
  await waitUntil("the lease", async () => String(await server.command("EXISTS", "p:{test.0}:l:key")) === "1");
  const held = await b.reserve("key", true, call());
  if (!held) throw new Error("no reservation");
  expect(held.lease).toBe("held");
  const outcome = b.awaitFill(held, call());
  await waitUntil("the wait", async () => String(await server.command("PUBSUB", "NUMSUB", "p:{test.0}:w:key")).includes(",1"));
  expect(await late).toBeUndefined();
  // A lease that has run out tells nothing: "failed".
  expect(await outcome).toBe("not-stored");
  await Promise.all([a.close(), b.close()]);
  await proxy.close();
});

test("a lease is renewed while its owner lives", async () => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const owned = await a.reserve("key", true, call());
  await client.pexpire(`${keyPrefix}:{test.0}:l:key`, 1_400);
  await expect.poll(() => client.pttl(`${keyPrefix}:{test.0}:l:key`)).toBeGreaterThan(1_500);
  if (owned) await a.release(owned, "failed");
  expect(await client.exists(`${keyPrefix}:{test.0}:l:key`)).toBe(0);
  await a.close();
});

test("an owner killed in the middle of its load holds the others up for the rest of its lease, not longer", async () => {
  const keyPrefix = uniquePrefix();
  const owner = await forkOwner([redisUrl, keyPrefix]);
  const b = await openCache<string>({ client, keyPrefix });
  const held = await b.reserve("key", true, call());
  expect(held?.lease).toBe("held");
  if (!held) return;
  owner.kill("SIGKILL");
  const startedAt = performance.now();
  expect(await b.awaitFill(held, call())).toBe("failed");
  // Not for two leases: a busy machine may take its time for the last look.
  expect(performance.now() - startedAt).toBeLessThan(3_900);
  expect((await b.reserve("key", true, call()))?.lease).toBe("owned");
  await b.close();
});

/** A budget that a busy machine does not use up before the wait has begun: who gets no reservation loads, and shares nothing. */
const PATIENT_MS = 5_000;

const hangs: readonly Fault[] = [
  { kind: "stall" },
  { kind: "black-hole" },
  { kind: "black-hole-up" },
  { kind: "black-hole-down" },
  { kind: "accept-and-hang" },
];

test.concurrent.for([{ kind: "refuse" } as Fault, ...hangs])(
  "waiters go on when Redis does $kind",
  async (fault, { expect, onTestFinished }) => {
    await using server = await startRedisServer();
    const proxy = await startFaultProxy(server.port);
    const a = await openCache<string>({ url: server.url, keyPrefix: "p" });
    // Turns with the event loop: what a busy machine lets this process stand still is no time in which it could have looked at the server.
    const clock = new ManualClock();
    const turning = setInterval(() => clock.advance(5), 5);
    onTestFinished(() => clearInterval(turning));
    const b = await openCache<string>({ ...prompt, url: proxy.url, keyPrefix: "p", clock });
    const tiered = new TieredCache<string>({ l1: new NaiveCache({ clock }), l2: b, backendBudgetMs: PATIENT_MS, clock });
    await a.reserve("key", true, call());
    let loadedAt = Infinity;
    const answer = tiered.getOrSet("key", () => {
      loadedAt = clock.now();
      return "own";
    });
    await waitUntil("the wait", async () => String(await server.command("PUBSUB", "NUMSUB", "p:{test.0}:w:key")).includes(",1"));
    const startedAt = clock.now();
    await proxy.set(fault);
    expect(await answer).toBe("own");
    // The holder lives and renews its lease: without a look at the server the wait would be for two seconds at least.
    expect(loadedAt - startedAt).toBeLessThan(1_500);
    await tiered.close();
    await Promise.all([a.close(), b.close()]);
    await proxy.close();
  },
);

test("a wait whose lane answers goes on, however often it is asked", async () => {
  await using server = await startRedisServer();
  const a = await openCache<string>({ url: server.url, keyPrefix: "p" });
  const b = await openCache<string>({ url: server.url, keyPrefix: "p" });
  const owned = await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const asked = async (): Promise<number> =>
    Number(/cmdstat_hmget:calls=(\d+)/.exec(String(await server.command("INFO", "commandstats")))?.[1] ?? 0);
  const before = await asked();
  const outcome = b.awaitFill(held, call());
  await waitUntil("three looks at the server", async () => (await asked()) >= before + 3);
  expect(await a.fill(owned, "value", plain)).toBe("stored");
  expect(await outcome).toBe("stored");
  await Promise.all([a.close(), b.close()]);
});

test("a caller who leaves ends his wait alone", async () => {
  const keyPrefix = uniquePrefix();
  const a = await openCache<string>({ client, keyPrefix });
  const b = await openCache<string>({ client, keyPrefix });
  await a.reserve("key", true, call());
  const held = await b.reserve("key", true, call());
  if (!held) throw new Error("no reservation");
  const leaver = new AbortController();
  const left = b.awaitFill(held, { ...call(), signal: leaver.signal });
  leaver.abort();
  expect(await left).toBe("failed");
  await Promise.all([a.close(), b.close()]);
});

test("many callers in several tiered caches share one load", async () => {
  const keyPrefix = uniquePrefix();
  let loads = 0;
  const caches = await Promise.all(
    Array.from(
      { length: 4 },
      async () =>
        new TieredCache<string>({
          l1: new NaiveCache({ clock: systemClock }),
          l2: await openCache<string>({ client, keyPrefix }),
          backendBudgetMs: PATIENT_MS,
        }),
    ),
  );
  const load = async (): Promise<string> => {
    loads += 1;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return "value";
  };
  const answers = await Promise.all(caches.flatMap((cache) => Array.from({ length: 100 }, () => cache.getOrSet("key", load))));
  expect(new Set(answers)).toEqual(new Set(["value"]));
  expect(loads).toBe(1);
  await Promise.all(caches.map((cache) => cache.close()));
});
