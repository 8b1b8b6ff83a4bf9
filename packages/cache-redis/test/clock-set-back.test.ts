import { KeySpace } from "@larder/cache-core";
import { startRedisServer, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { IoredisPort } from "../src/ioredis-port.ts";
import type { RedisScript } from "../src/scripts.ts";
import { call, patient } from "./support.ts";

const AN_HOUR_MS = 3_600_000;

/** A real server whose clock can be set back, as far as its answers tell: the entries' own stamps stay those of before. */
class LateClockPort extends IoredisPort {
  backMs = 0;

  override async run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    const reply = await super.run(script, keys, args);
    if (script.name !== "check" || !Array.isArray(reply)) return reply;
    return [...reply.slice(0, 5), Buffer.from(String(Number(String(reply[5])) - this.backMs))];
  }
}

test("when the server's clock is set back, what was stored before is not served past its time (I16)", async () => {
  await using server = await startRedisServer();
  const port = new LateClockPort(new Redis(server.url), true);
  const cache = new RedisCache<string>({ port, namespace: "clock" });
  await cache.ready();
  // Redis' own expiry would be late by as much: it plays no part here.
  await cache.set("key", "value", { ttlMs: 1_500 });
  await server.command("PERSIST", "larder:{clock.0}:v:key");
  expect(await cache.get("key")).toBe("value");
  const endsAt = performance.now() + 1_500;
  port.backMs = AN_HOUR_MS;
  let lastServedAt = 0;
  await waitUntil("it is past its time for long", async () => {
    const askedAt = performance.now();
    if ((await cache.get("key")) !== undefined) lastServedAt = askedAt;
    return askedAt > endsAt + 1_000;
  });
  expect(lastServedAt).toBeLessThan(endsAt + 50);
  expect(await server.command("EXISTS", "larder:{clock.0}:v:key")).toBe(1);
  await cache.close();
});

test.each([
  ["an hour", "PEXPIRE", String(AN_HOUR_MS)],
  ["ever", "PERSIST"],
])("a dead process's lease that has %s yet by the server's clock is not waited for, and taken over (I5)", async (_, ...command) => {
  await using server = await startRedisServer();
  const dying = new Redis(server.url);
  const owner = new RedisCache<string>({ client: dying, namespace: "lease" });
  const [waiter, next] = ["waiter", "next"].map(() => new RedisCache<string>({ url: server.url, namespace: "lease", ...patient }));
  if (!waiter || !next) return;
  await Promise.all([owner, waiter, next].map((cache) => cache.ready()));
  expect((await owner.reserve("key", true, call()))?.lease).toBe("owned");
  const held = await waiter.reserve("key", true, call());
  expect(held?.lease).toBe("held");
  if (!held) return;
  const [outcome] = [waiter.awaitFill(held, call()), dying.disconnect()];
  // What a clock that is set back does to the time that every key has yet.
  const lease = new KeySpace({ namespace: "lease" }).lease("key");
  expect(await server.command(command[0] as string, lease, ...command.slice(1))).toBe(1);
  expect(await outcome).toBe("failed");
  expect((await next.reserve("key", true, call()))?.lease).toBe("owned");
  await Promise.all([owner.close(), waiter.close(), next.close()]);
});
