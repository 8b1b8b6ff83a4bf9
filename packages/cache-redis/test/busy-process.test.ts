import { setTimeout as delay } from "node:timers/promises";
import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { IoredisPort } from "../src/ioredis-port.ts";
import type { RedisScript } from "../src/scripts.ts";
import { call, openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** What the check answers is taken in late, as in a process that is busy when it comes. */
class BusyPort extends IoredisPort {
  override async run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    const reply = await super.run(script, keys, args);
    if (script.name === "check") await delay(200);
    return reply;
  }
}

// Two gateways of which one had just begun asked the provider for the same, in one of five runs on a busy machine: the new one knew the server's clock
// to within the 50 ms that its check had lain there, set the deadline of its lease by the early end of that, and was refused.
test("a process that knows the server's clock badly loads nothing that another one is loading (I5)", async () => {
  const keyPrefix = uniquePrefix();
  const owner = await openCache<string>({ client, keyPrefix });
  const busy = new RedisCache<string>({
    port: new BusyPort(client, false),
    namespace: "test",
    keyPrefix,
    timeoutMs: 100,
    writeTimeoutMs: 150,
  });
  await busy.ready();
  expect((await owner.reserve("key", true, call()))?.lease).toBe("owned");
  expect((await busy.reserve("key", true, call()))?.lease).toBe("held");
  await Promise.all([owner.close(), busy.close()]);
});

/** Takes the event loop for itself, in the turn in which what was asked for before is sent. */
function beBusy(forMs: number): void {
  setImmediate(() => {
    const endAt = performance.now() + forMs;
    while (performance.now() < endAt);
  });
}

// The read was answered at once, and taken in after more than the whole budget: nothing was left for the lease and the fence, so that a process under
// load shared nothing of what it loaded, when that was needed most.
test("a process that is too busy to take in what Redis answers still takes part in what the fleet loads and stores (I5)", async () => {
  const cache = await openCache<string>({ client, keyPrefix: uniquePrefix() });
  const load = call(500);
  const reading = cache.read("key", load);
  beBusy(700);
  expect(await reading).toBe(undefined);
  expect((await cache.reserve("key", true, load))?.lease).toBe("owned");
  expect(cache.stats().errors).toBe(0);
  await cache.close();
});
