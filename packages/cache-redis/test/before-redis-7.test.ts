import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type RedisServer, startRedisServer } from "@larder/cache-testing";
import { expect, test } from "vitest";
import { call, openCache, plain } from "./support.ts";

/*
 * Redis 6.2 says of a script's command that was refused where in the script it stands, in front of everything else, and that the script failed when the
 * script did not catch it (its scripting.c, luaPushError and evalGenericCommand). Regression: both were taken for a connection that broke, or for a
 * refusal of no meaning, so that a replica went on being used and a full server's old value was not dropped.
 */

function spellAsBefore(reply: string): string {
  return reply
    .replace(
      /^-(\w+ .*) script: (\w{40}), on @user_script:(\d+)\.(?=\r$)/gm,
      "-ERR Error running script (call to f_$2): @user_script:$3: @user_script: $3: -$1  ",
    )
    .replace(/^-(READONLY .*)(?=\r$)/gm, "-@user_script: 3: -$1  ");
}

/** The server as one of before Redis 7 would speak. */
async function startOlderSpeech(server: RedisServer): Promise<AsyncDisposable & { readonly url: string }> {
  const listener = createServer((client) => {
    const upstream = connect(server.port, "127.0.0.1");
    for (const socket of [client, upstream]) socket.on("error", () => {}).on("close", () => [client, upstream].map((end) => end.destroy()));
    client.pipe(upstream);
    upstream.on("data", (chunk) => client.write(Buffer.from(spellAsBefore(chunk.toString("latin1")), "latin1")));
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    url: `redis://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => void listener.close(),
  };
}

test("a server before Redis 7 that has no memory left: what was there is gone, and the value is reported as not stored", async () => {
  await using server = await startRedisServer();
  await using older = await startOlderSpeech(server);
  const cache = await openCache<string>({ url: older.url });
  await cache.set("key", "old");
  await server.command("CONFIG", "SET", "maxmemory", "1");
  expect(await cache.replace("key", "new", plain, call())).toMatchObject({ isStored: false });
  expect(await cache.set("key", "newer")).toBe(false);
  expect(cache.stats()).toMatchObject({ rejectedSets: 2, failures: { refused: 2 } });
  expect(await cache.get("key")).toBe(undefined);
  await cache.close();
});

test("a server before Redis 7 that has become a replica is not read either", async () => {
  await using server = await startRedisServer();
  await using other = await startRedisServer();
  await using older = await startOlderSpeech(server);
  const cache = await openCache<string>({ url: older.url });
  await server.command("REPLICAOF", "127.0.0.1", String(other.port));
  await expect(cache.invalidate({ kind: "tag", tag: "red" }, call())).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
  expect(cache.stats().breaker).not.toBe("closed");
  await cache.close();
});
