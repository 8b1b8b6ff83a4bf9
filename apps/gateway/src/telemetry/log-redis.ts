import type { openClient, RedisCache } from "@larder/cache-redis";
import { isRefusedDatabase } from "./is-refused-database.ts";
import type { Log } from "./log.ts";

/** What an error of the client is called: a socket's code, or the word that a reply begins with, as `WRONGPASS`. Nothing else of it, since it quotes. */
function reasonOf(error: unknown): string {
  const { code, message, name } = error as { readonly code?: unknown; readonly message?: unknown; readonly name?: unknown };
  return String(code ?? /^[A-Z]{2,}\b/.exec(String(message))?.[0] ?? name);
}

/**
 * Logs each time that Redis comes and goes, once, and each reason why it is away. Who connects and may not do what the cache needs is told
 * apart: the client is content with such a server, and the cache never uses it.
 */
export function logRedis(client: ReturnType<typeof openClient>, l2: Pick<RedisCache<never>, "ready">, log: Log): void {
  let wasUp: boolean | undefined;
  let isDatabaseTold = false;
  const reasons = new Set<string>();
  const tellAway = (reason?: string): void => {
    if (wasUp === false && (reason === undefined || reasons.has(reason))) return;
    wasUp = false;
    if (reason !== undefined) reasons.add(reason);
    log.warn({ reason }, "Redis is away: serving from memory and providers until it is back");
  };
  const tellThere = async (): Promise<void> => {
    const isUsed = await l2.ready().then(
      () => true,
      () => false,
    );
    // Gone or closed meanwhile, or told by another connection.
    if (client.status !== "ready" || wasUp === true) return;
    wasUp = true;
    reasons.clear();
    isDatabaseTold = false;
    if (isUsed) log.info("Redis is there");
    else log.warn("Redis is there and the cache cannot use it: it is no master, or refuses commands to its user (ACL LOG names them)");
  };
  client.on("ready", () => void tellThere());
  client.on("close", () => tellAway());
  // An error event nobody listens to would end the process.
  client.on("error", (error: unknown) => {
    if (isRefusedDatabase(error) && !isDatabaseTold) {
      isDatabaseTold = true;
      log.error("the database that REDIS_URL names does not exist there, or may not be selected: Redis is not used until it can be");
    }
    tellAway(reasonOf(error));
  });
}
