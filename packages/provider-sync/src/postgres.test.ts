import { inspect } from "node:util";
import postgres from "postgres";
import { describe, expect, it } from "vitest";
import { createPostgresStore } from "./postgres.ts";

/** Nothing is asked of it: the options are refused first. */
const url = "postgres://user@127.0.0.1:1/database";

describe("the options of a PostgreSQL store", () => {
  it.each([0, 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "x" as unknown as number])(
    "refuses maxConnections = %s",
    async (maxConnections) => {
      await expect(createPostgresStore({ url, maxConnections })).rejects.toThrow(/ERR_CACHE_INVALID_OPTION.*maxConnections/);
    },
  );

  it.each(["timeoutMs", "lockTtlMs"])("refuses %s = 0", async (name) => {
    await expect(createPostgresStore({ url, [name]: 0 })).rejects.toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`));
  });

  it.each([
    ["column names", postgres.camel],
    ["values", { value: { from: (value: unknown) => value } }],
    ["rows", { row: { from: (row: unknown) => row } }],
  ])("refuses a client that transforms %s: what is stored would be read as something else", async (_what, transform) => {
    const client = postgres(url, { transform });
    await expect(createPostgresStore({ client })).rejects.toThrow(/ERR_CACHE_INVALID_OPTION.*client must not transform/);
    await client.end();
  });

  it.each(["postgres://user:s3cret@ho st:1/db", "postgres://user:s3cret@host:99999/db", "postgres://user:s3cret%zz@host/db"])(
    "refuses the URL %s without showing any of it",
    async (wrong) => {
      const error = await createPostgresStore({ url: wrong }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
      expect(inspect(error)).not.toContain("s3cret");
    },
  );
});
