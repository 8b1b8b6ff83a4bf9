import type { openClient } from "@larder/cache-redis";

/** Whether an error is a server's answer to the choice of a database. */
export function isRefusedDatabase(error: unknown): boolean {
  return (error as { readonly command?: { readonly name?: unknown } }).command?.name === "select";
}

/**
 * Has a server without the database of the URL, or that does not let its user select it, count as away: ioredis tells the error and goes on in database 0, which is
 * somebody else's. Connections that are made from this one after that keep to it as well.
 */
export function keepToDatabase(client: ReturnType<typeof openClient>): void {
  // A cluster has one database.
  if ("reconnectOnError" in client.options) client.options.reconnectOnError = isRefusedDatabase;
}
