import { EventEmitter, once } from "node:events";
import { openClient, RedisCache } from "@larder/cache-redis";
import { freePort, type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { logRedis } from "./log-redis.ts";

let server: RedisServer;
const opened: Array<() => unknown> = [];
beforeEach(async () => {
  server = await startRedisServer({ port: await freePort(), settings: { requirepass: "secret" } });
  opened.push(() => server.stop());
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** What is told while a client opened from `url` is used: each line's reason, else its first words. */
function listen(url: string): string[] {
  const lines: string[] = [];
  const client = openClient(url);
  const l2 = new RedisCache<string>({ client, namespace: "answers" });
  const bus = new RedisInvalidationBus({ client });
  opened.push(() => client.disconnect());
  opened.push(() => Promise.all([l2.close(), bus.close()]));
  const tell = (line: string): void => {
    const { reason, msg } = JSON.parse(line) as { readonly reason?: string; readonly msg: string };
    expect(line).not.toContain("CANARY");
    lines.push(reason ?? msg);
  };
  logRedis(client, { ready: () => l2.ready(500) }, pino({}, { write: tell }));
  return lines;
}

it("says why Redis cannot be reached, and once that it is there", async () => {
  const refused = listen(`redis://:CANARY@127.0.0.1:${server.port}`);
  await waitUntil("the refusal is told", () => refused.length > 0);
  expect(refused).toEqual(["WRONGPASS"]);
  const lines = listen(`redis://:secret@127.0.0.1:${server.port}`);
  await waitUntil("it is there", () => lines.length === 1);
  await server.kill();
  await waitUntil("it is away", () => lines.includes("ECONNREFUSED"));
  await server.start();
  await waitUntil("it is back", () => lines.filter((line) => line === "Redis is there").length === 2);
  expect(new Set(lines).size).toBe(lines.length - 1);
});

it("tells each reason once, however often it comes back before Redis does", async () => {
  const lines: unknown[] = [];
  const client = Object.assign(new EventEmitter(), { status: "connecting" });
  const log = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { reason?: string; msg: string }).reason) });
  logRedis(client as unknown as ReturnType<typeof openClient>, { ready: async () => undefined }, log);
  const fail = (code: string): boolean => client.emit("error", Object.assign(new Error(code), { code }));
  for (const code of ["ECONNREFUSED", "ECONNREFUSED", "ETIMEDOUT", "ECONNREFUSED", "ETIMEDOUT"]) {
    fail(code);
    client.emit("close");
  }
  expect(lines).toEqual(["ECONNREFUSED", "ETIMEDOUT"]);
});

// It was used all the same, in database 0.
it("names the setting when the server has no such database, which is nobody else's then", async () => {
  const lines = listen(`redis://:secret@127.0.0.1:${server.port}/99`);
  await waitUntil("it is told", () => lines.includes("ERR"));
  expect(lines[0]).toMatch(/^the database that REDIS_URL names does not exist there/);
  const admin = openClient(`redis://:secret@127.0.0.1:${server.port}`);
  opened.push(() => admin.disconnect());
  await once(admin, "ready");
  expect(await admin.info("commandstats")).not.toMatch(/cmdstat_(eval|evalsha|set|hset|subscribe|get):/);
  expect(lines.filter((line) => line.startsWith("the database"))).toHaveLength(1);
  expect(lines.join()).not.toContain("Redis is there");
});

it("tells of a server that is there and refuses what the cache needs", async () => {
  const admin = openClient(`redis://:secret@127.0.0.1:${server.port}`);
  opened.push(() => admin.disconnect());
  await once(admin, "ready");
  await admin.call("ACL", "SETUSER", "few", "on", ">CANARY", "~*", "&*", "+@read", "+info");
  const lines = listen(`redis://few:CANARY@127.0.0.1:${server.port}`);
  await waitUntil("it is told", () => lines.length > 0);
  expect(lines).toEqual([expect.stringContaining("the cache cannot use it")]);
});
