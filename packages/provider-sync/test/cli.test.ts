import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { runCli } from "../src/cli/run-cli.ts";
import { poll } from "./support/poll.ts";
import { createTestDatabase } from "./support/stores.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "larder-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function cli(argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
  let [out, error] = ["", ""];
  const code = await runCli({
    argv,
    environment,
    write: (text) => {
      out += text;
    },
    writeError: (text) => {
      error += text;
    },
  });
  return { code, out, error };
}

function writeModels(count: number, price = "0.000001", first = price): string {
  const path = join(folder, "models.json");
  const data = Array.from({ length: count }, (_, index) => ({
    id: `acme/m-${index}`,
    pricing: { prompt: index === 0 ? first : price, completion: price },
  }));
  writeFileSync(path, JSON.stringify({ data }));
  return path;
}

describe("larder-sync", () => {
  it.each([[[]], [["sync"]], [["accept"]], [["rollback"]], [["history"]]])("prints its help with %j", async (command) => {
    const { code, out } = await cli([...command, "--help"]);
    expect(code).toBe(0);
    expect(out).toContain("larder-sync accept KEY");
  });

  it.each([
    [["frobnicate"], "unknown command"],
    [["--limit", "0"], "--limit"],
    [["accept"], "KEY"],
    [["rollback", "x"], "VERSION"],
    [["rollback", "1.5"], "VERSION"],
    [["rollback", "1", "2"], "one VERSION"],
    [["rollback", "1", "--dry-run"], "--dry-run"],
    [["accept", "some#key", "--dry-run"], "--dry-run"],
    [["sync", "extra"], "no operand"],
    [["history", "extra"], "no operand"],
    [["--wrong"], "--wrong"],
    [["--source", "nope"], "nope=https://host/v1"],
    [["--source", "nope="], "nope=https://host/v1"],
    [["--source", "litellm="], "litellm has an empty address"],
    [["--source", "litellm=ftp://secret.example/prices"], "url must be a URL such as https"],
    [["--source", "mine=HTTPS://user:secret@mine.example/v1"], "baseUrl must not hold a user"],
    [["--redis", ""], "--redis needs the URL"],
    [["--database", ""], "path"],
    [["--source", "litellm", "--source", "litellm", "--database", ":memory:"], "different names"],
    [["--database", "postgres://user:secret@ho st/db"], "url cannot be read"],
  ])("refuses %j with a message and exit code 2", async (argv, message) => {
    const { code, error, out } = await cli(argv);
    expect([code, out]).toEqual([2, ""]);
    expect(error).toContain(message);
    expect(error).not.toContain("secret");
  });

  it.each([["quarantine"], ["history"], ["compare"], ["rollback", "1"], ["accept", "some#key"]])(
    "makes no database for %s, and says that there is none",
    async (...command) => {
      const path = join(folder, "typo.db");
      const { code, error, out } = await cli([...command, "--database", `file:${path}`]);
      expect([code, out, existsSync(path)]).toEqual([1, "", false]);
      expect(error).toContain("no such SQLite file");
    },
  );

  it("prints nothing of an upstream that a terminal would obey", async () => {
    const path = join(folder, "escapes.json");
    const name = `m\u001b]0;title\u0007\u001b[2J\u009b31m\u202e\nrow`;
    writeFileSync(
      path,
      JSON.stringify({
        data: [
          { id: name, object: "model" },
          { id: "plain", object: "model" },
        ],
      }),
    );
    const run = (...more: string[]) => cli(["--source", `local=${path}`, "--database", ":memory:", ...more]);
    const { out } = await run();
    expect(out).toContain("local/plain");
    expect(out).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    const json = await run("--json");
    expect(json.out).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    for (const change of (JSON.parse(json.out) as { changes: Array<{ id: string }> }).changes)
      expect(change.id).toMatch(/^local\/(m|plain)/);
  });

  it.each(["sqlite", "postgres"] as const)(
    "runs once against a file into %s, shows the difference, the quarantine and the history",
    async (dialect) => {
      const testDatabase = await createTestDatabase(dialect);
      onTestFinished(() => testDatabase.remove());
      const database = ["--database", testDatabase.address];
      const run = (path: string, ...rest: string[]): Promise<Ran> => cli(["--source", `openrouter=${path}`, ...database, ...rest]);
      const first = await run(writeModels(120), "--limit", "2");
      expect(first.code).toBe(0);
      expect(first.out).toMatch(/Changes \(120\)[\s\S]*… 118 more[\s\S]*Nothing is held back[\s\S]*committed - version 1, 120 models/);

      const second = await run(writeModels(120, "0.000001", "0.00002"), "--json");
      expect(JSON.parse(second.out)).toMatchObject({
        outcome: "committed",
        version: 2,
        quarantine: [{ reason: "jump", kept: 1, offered: 20 }],
      });

      const held = await cli(["quarantine", ...database]);
      expect(held.out).toContain("openrouter#openrouter/acme/m-0#input");
      expect((await cli(["accept", "openrouter#openrouter/acme/m-0#input", ...database])).out).toContain("accept: version 3");
      expect((await run(writeModels(120, "0.000001", "0.00002"))).out).toMatch(/No changes[\s\S]*unchanged - version 3/);
      expect((await cli(["rollback", "1", ...database])).out).toContain("rollback: version 4");
      expect(JSON.parse((await cli(["history", "--json", ...database])).out).map((head: { reason: string }) => head.reason)).toEqual([
        "rollback",
        "accept",
        "sync",
        "sync",
      ]);
      expect((await cli(["compare", ...database])).out).toContain("agreeing");
    },
  );

  it("leaves no connection of the database that would keep the process alive when the mirror cannot be opened", async () => {
    const testDatabase = await createTestDatabase("postgres");
    onTestFinished(() => testDatabase.remove());
    const sockets = (): number => process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length;
    const before = sockets();
    const ran = await cli(["history", "--database", testDatabase.address, "--redis", "redis://:%zz@127.0.0.1:1"]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    await poll(() => sockets() <= before).toBe(true);
  });

  it("mirrors when it is told where Redis is", async () => {
    const path = writeModels(120);
    const redisUrl = process.env.REDIS_URL ?? "";
    const client = new Redis(redisUrl);
    onTestFinished(() => client.disconnect());
    const { code, out } = await cli([
      "--source",
      `openrouter=${path}`,
      "--database",
      join(folder, `${uniquePrefix("c")}.db`),
      "--redis",
      redisUrl,
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/mirror (written|refused)/);
  });

  it("fails with exit code 1 and the reason, and stores nothing in a dry run", async () => {
    const database = join(folder, "catalog.db");
    const dry = await cli(["--source", `openrouter=${writeModels(120)}`, "--database", database, "--dry-run"]);
    expect(dry.out).toMatch(/dry-run - version 0, 120 models/);
    expect(existsSync(database)).toBe(false);
    const failed = await cli(["--source", `openrouter=${writeModels(3)}`, "--database", database]);
    expect(failed.code).toBe(1);
    expect(failed.out).toMatch(/refused[\s\S]*too-few: \d+ offered, 0 served: fewer than 100/);
    const missing = await cli(["--source", `openrouter=${join(folder, "missing.json")}`, "--database", database]);
    expect(missing.out).toContain("ENOENT");
  });

  it.each(["sqlite", "postgres"] as const)("leaves an empty database of %s as it is, but for a run", async (dialect) => {
    const testDatabase = await createTestDatabase(dialect);
    onTestFinished(() => testDatabase.remove());
    const database = await testDatabase.openDatabase();
    const tables =
      dialect === "postgres" ? "SELECT tablename FROM pg_tables WHERE tablename LIKE 'larder%'" : "SELECT name FROM sqlite_master";
    await database.query("CREATE TABLE other (id INTEGER)");
    const before = await database.query(tables);
    const target = ["--database", testDatabase.address];
    const dry = await cli(["--source", `openrouter=${writeModels(120)}`, ...target, "--dry-run"]);
    expect(dry.out).toMatch(/dry-run - version 0, 120 models/);
    const history = await cli(["history", ...target]);
    expect(history).toMatchObject({ code: 1, out: "" });
    expect(history.error).toContain("no catalog in this database");
    expect(await database.query(tables)).toEqual(before);
    await database.close();
  });

  it("takes any OpenAI-compatible list under a name of its own", async () => {
    const path = join(folder, "own.json");
    writeFileSync(path, JSON.stringify({ object: "list", data: [{ id: "local-7b", object: "model", max_model_len: 4096 }] }));
    const { out } = await cli(["--source", `local=${path}`, "--database", join(folder, "own.db"), "--json"]);
    expect(JSON.parse(out)).toMatchObject({ outcome: "committed", models: 1, changes: [{ id: "local/local-7b", kind: "added" }] });
  });
});
