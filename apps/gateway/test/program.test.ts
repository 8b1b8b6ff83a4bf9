import type { StdioOptions } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type ClientRequest, request } from "node:http";
import { freePort } from "@larder/cache-testing";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { bundleProgram, Program } from "./support/program.ts";
import { chat, gate } from "./support/start.ts";
import { chatEvents, FixtureUpstream } from "./support/upstream.ts";

let path: string;
let upstream: FixtureUpstream;
let running: Program[] = [];
beforeAll(async () => {
  path = await bundleProgram();
  upstream = await FixtureUpstream.start();
});
afterEach(async () => {
  upstream.behaviour = undefined;
  await Promise.all(running.map((program) => program.close()));
  running = [];
});
afterAll(async () => {
  await upstream.close();
  rmSync(path, { force: true });
});

/** With them, nothing has to be written beside the database. */
const SECRETS = { LARDER_ADMIN_TOKEN: "a-token-of-the-test", LARDER_MASTER_KEY: "0".repeat(64) };

function start(environment: Record<string, string> = {}, args: readonly string[] = [], stdio?: StdioOptions): Program {
  const program = new Program(path, args, { PORT: "0", OPENAI_BASE_URL: upstream.url, ...environment }, stdio);
  running.push(program);
  return program;
}

const ask = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

describe("larder-gateway", () => {
  it("tells its settings with --help", async () => {
    const program = start({}, ["--help"]);
    expect(await program.exited).toBe(0);
    for (const name of ["OPENAI_BASE_URL", "LARDER_AUTH", "REDIS_URL", "LARDER_WORKERS"]) expect(program.output).toContain(name);
  });

  it("does not start with a setting that cannot be used: names it, without its value", async () => {
    const program = start({ LARDER_MASTER_KEY: "short-canary" });
    expect(await program.exited).toBe(2);
    expect([program.output.includes("LARDER_MASTER_KEY"), program.output.includes("canary")]).toEqual([true, false]);
  });

  it("does not start workers with a database in memory: each would know its own keys alone", async () => {
    const program = start({ ...SECRETS, DATABASE_URL: "file::memory:", LARDER_WORKERS: "2" });
    expect(await Promise.race([program.exited, program.listening()])).toBe(2);
    expect(program.output).toContain("DATABASE_URL must be a file with LARDER_WORKERS");
  });

  it("starts beside a misspelt setting and tells it, without its value", async () => {
    const program = start({ ...SECRETS, DATABASE_URL: "file::memory:", LARDER_ATUH: "canary" });
    await program.listening();
    expect(program.output).toContain("LARDER_ATUH is no setting and does nothing: is LARDER_AUTH meant?");
    expect(program.output).not.toContain("canary");
  });

  it.each([
    ["HOST", { HOST: "999.1.1.1" }, 1],
    ["HOST", { HOST: "192.0.2.1" }, 1],
    ["REDIS_URL", { REDIS_URL: "http://user:canary@host" }, 2],
    ["DATABASE_URL", { DATABASE_URL: "file:/dev/null/canary/gateway.db" }, 1],
  ])("does not start where %s leads nowhere, and names it: %j", async (name, environment, code) => {
    const program = start(environment);
    expect(await program.exited).toBe(code);
    expect(program.output.trim().split("\n").length).toBeLessThan(3);
    expect([program.output.includes(name), program.output.includes("user:canary")]).toEqual([true, false]);
  });

  // Regression: in the image, whose folder it may not write, it named DATABASE_URL, which has nothing to do with it.
  it("says that it wants an admin token where PostgreSQL is the database and none can be made", async () => {
    const program = start({ DATABASE_URL: "postgres://x:x@127.0.0.1:1/x", LARDER_MASTER_KEY: SECRETS.LARDER_MASTER_KEY });
    writeFileSync(`${program.directory}/.larder`, "no folder");
    expect(await program.exited).toBe(2);
    expect(program.output).toMatch(/LARDER_ADMIN_TOKEN must be set, since \S+\.larder.* cannot be read or made \([A-Z]+\)/);
  });

  it("ends when it cannot start although Redis is configured: nothing that was opened keeps it", async () => {
    const program = start({ HOST: "192.0.2.1", REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    expect(await program.exited).toBe(1);
  });

  it.each([
    ["LARDER_MASTER_KEY", { LARDER_MASTER_KEY: "short" }, 2],
    ["HOST", { HOST: "192.0.2.1" }, 1],
  ])("says once why none of several workers starts, and ends with the same code: %s", async (name, environment, code) => {
    const program = start({ LARDER_WORKERS: "3", ...environment });
    expect(await program.exited).toBe(code);
    expect(program.output.split("\n").filter((line) => line.startsWith("larder-gateway: "))).toHaveLength(1);
    expect(program.output).toContain(name);
  });

  it("says why its database cannot be used, and once", async () => {
    const program = start({ DATABASE_URL: "file:broken.db", LARDER_AUTH: "keys" });
    writeFileSync(`${program.directory}/broken.db`, "this is no database, and never was one: it is a text".repeat(20));
    const url = await program.listening();
    await vi.waitUntil(() => program.output.includes("the database of record cannot be used"), { timeout: 15_000 });
    for (let round = 0; round < 3; round += 1) expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const told = program.output.split("\n").filter((line) => line.includes("the database of record"));
    expect(told.map((line) => (JSON.parse(line) as { code: string }).code)).toEqual(["SQLITE_NOTADB"]);
  });

  it.runIf(existsSync("/dev/full"))("serves although nothing that it tells and logs can be written", async () => {
    const full = openSync("/dev/full", "w");
    const port = String(await freePort());
    const program = start({ PORT: port, DATABASE_URL: "file:/dev/null/gateway.db", ...SECRETS }, [], ["ignore", full, full]);
    const url = `http://127.0.0.1:${port}`;
    await vi.waitUntil(
      () =>
        fetch(`${url}/healthz`).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000, interval: 50 },
    );
    // Each of them logs that the database of record cannot be used, or why it could not be read.
    for (let round = 0; round < 3; round += 1) expect((await ask(url, chat(`unheard ${round}`))).status).toBe(200);
    program.child.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    closeSync(full);
  });

  it("keeps the generated secrets for their owner alone, and does not print them into a log", async () => {
    const program = start();
    await program.listening();
    for (const file of ["admin-token", "master-key"]) expect(statSync(`${program.directory}/.larder/${file}`).mode & 0o777).toBe(0o600);
    expect(program.output).not.toContain("larder_admin_");
  });

  it.each(["SIGTERM", "SIGINT"] as const)(
    "F23: on %s it lets streams in flight end, takes no new work, and ends with 0",
    async (signal) => {
      const held = gate();
      const events = chatEvents({ model: "m" }, 5);
      upstream.behaviour = async (_seen, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(events[0]);
        await held.opened;
        response.end(events.slice(1).join(""));
        return true;
      };
      // Ctrl-C has no grace: with one it would take an hour here.
      const program = start({ LARDER_DRAIN_GRACE: signal === "SIGINT" ? "1h" : "0s" });
      const url = await program.listening();
      const streams = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(url, chat(`draining ${index}`, { stream: true }))));
      program.child.kill(signal);
      let isRefused = false;
      while (!isRefused)
        isRefused = await fetch(`${url}/healthz`).then(
          () => false,
          () => true,
        );
      held.open();
      for (const stream of streams) expect(await stream.text()).toMatch(/data: \[DONE\]\n\n$/);
      expect(await program.exited).toBe(0);
    },
  );

  it.each(["1", "2"])(
    "says that it is not ready and still serves for a grace after SIGTERM, and ends at once on a second one (workers: %s)",
    async (workers) => {
      const program = start({ LARDER_DRAIN_GRACE: "1h", LARDER_WORKERS: workers, PORT: String(await freePort()) });
      const url = await program.listening();
      program.child.kill("SIGTERM");
      const readiness = (): Promise<Response> => fetch(`${url}/readyz`, { headers: { connection: "close" } });
      let response = await readiness();
      while (response.status !== 503) response = await readiness();
      expect(await response.json()).toMatchObject({ status: "draining" });
      const answer = await ask(url, chat("in the grace"));
      expect(answer.status).toBe(200);
      program.child.kill("SIGTERM");
      expect(await program.exited).toBe(130);
    },
  );

  it("starts and serves while Redis and PostgreSQL are away", async () => {
    const program = start({
      REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
      DATABASE_URL: `postgres://x:x@127.0.0.1:${await freePort()}/x`,
      LARDER_MASTER_KEY: "ab".repeat(32),
    });
    const url = await program.listening();
    const verdicts = [];
    for (let round = 0; round < 2; round += 1) verdicts.push((await ask(url, chat("degraded"))).headers.get("x-larder-cache"));
    expect(verdicts).toEqual(["MISS", "HIT"]);
    const status = (await ask(url, chat("degraded"))).headers.get("cache-status");
    expect(status).toContain("detail=degraded");
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({ status: "ready", backends: { database: false, redis: false } });
  });

  it("finds who has made a response, whichever of several workers passed it on, without Redis", async () => {
    const [first, maker] = [await FixtureUpstream.start(), await FixtureUpstream.start()];
    const program = start({
      ...{ LARDER_WORKERS: "2", LARDER_CONFIG: "routed.json", PORT: String(await freePort()) },
      ...{ OPENAI_BASE_URL: first.url, OPENAI_API_KEY: "sk-first" },
    });
    maker.behaviour = ({ path }, response) => {
      const id = /resp_\w+/.exec(path)?.[0] ?? `resp_${maker.calls}`;
      const told = { id, object: "response", status: "completed", output: [], usage: null };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(told));
      return true;
    };
    const providers = { maker: { baseUrl: maker.url, apiKey: "sk-maker" } };
    writeFileSync(
      `${program.directory}/routed.json`,
      JSON.stringify({ providers, routes: [{ model: "m", targets: [{ provider: "maker" }] }] }),
    );
    try {
      const url = await program.listening();
      // A connection stays with one worker: each request gets its own.
      const headers = { "content-type": "application/json", connection: "close" };
      const body = JSON.stringify({ model: "m", input: "kept", store: true });
      const { id } = (await (await fetch(`${url}/v1/responses`, { method: "POST", headers, body })).json()) as { id: string };
      const read = async (): Promise<number> => (await fetch(`${url}/v1/responses/${id}`, { headers })).status;
      await vi.waitUntil(async () => (await read()) === 200 && (await read()) === 200);
      for (let round = 0; round < 8; round += 1) expect(await read()).toBe(200);
    } finally {
      await first.close();
      await maker.close();
    }
  });

  it("keeps several workers coherent without Redis, and ends all of them on one signal", async () => {
    const program = start({ LARDER_WORKERS: "2", LARDER_ADMIN_TOKEN: "a-token-for-the-workers", PORT: String(await freePort()) });
    const url = await program.listening();
    const answers = async (): Promise<Set<string>> => {
      const texts = new Set<string>();
      // A connection stays with one worker: each request gets its own.
      for (let round = 0; round < 8; round += 1) texts.add(await (await ask(url, chat("workers"), { connection: "close" })).text());
      return texts;
    };
    const old = await answers();
    const drop = async (): Promise<unknown> =>
      (
        await fetch(`${url}/admin/cache/invalidate`, {
          method: "POST",
          headers: { authorization: "Bearer a-token-for-the-workers" },
          body: '{"all":true}',
        })
      ).json();
    // A busy machine may take longer to hear from all workers than the answer waits for them: the answer says so, and is asked again.
    await vi.waitFor(async () => expect(await drop()).toMatchObject({ propagated: true }), { timeout: 10_000 });
    expect([...(await answers())].filter((text) => old.has(text))).toEqual([]);
    program.child.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  });

  const childrenOf = (pid: number | undefined): string => `/proc/${pid}/task/${pid}/children`;
  it.runIf(existsSync(childrenOf(process.pid)))("replaces workers that die, all of them at a time included, and says so", async () => {
    const program = start({ LARDER_WORKERS: "2", PORT: String(await freePort()), ...SECRETS });
    const url = await program.listening();
    const workers = (): string[] => readFileSync(childrenOf(program.child.pid), "utf8").trim().split(" ");
    const former = workers();
    for (const pid of former) process.kill(Number(pid), "SIGKILL");
    // A connection that was being handed to a worker that died is nobody's: it is given up.
    await vi.waitUntil(
      () =>
        fetch(`${url}/healthz`, { headers: { connection: "close" }, signal: AbortSignal.timeout(1_000) }).then(
          (response) => response.status === 200,
          () => false,
        ),
      { timeout: 15_000, interval: 50 },
    );
    expect(workers().filter((pid) => former.includes(pid))).toEqual([]);
    expect(program.output.match(/worker \d+ has ended \(SIGKILL\); another one takes its place/g)).toHaveLength(2);
  });

  it.runIf(existsSync(childrenOf(process.pid)))(
    "has the successor of a worker do as the others do, whatever became of the file meanwhile, and count under its predecessor's name",
    async () => {
      const config = `${path}.respawn.json`;
      writeFileSync(config, JSON.stringify({ aliases: { fast: "fixture-model" } }));
      const program = start({ LARDER_WORKERS: "2", LARDER_CONFIG: config, PORT: String(await freePort()), ...SECRETS });
      const url = await program.listening();
      const workers = (): string[] => readFileSync(childrenOf(program.child.pid), "utf8").trim().split(" ");
      const labels = async (): Promise<string[]> => {
        const told = await (await fetch(`${url}/metrics`, { headers: { connection: "close" } })).text();
        return [...told.matchAll(/^larder_requests_in_flight\{worker="(\d+)"\}/gm)].map(([, label = ""]) => label).sort();
      };
      const areUp = { timeout: 15_000, interval: 50 };
      await vi.waitFor(async () => expect(await labels()).toEqual(["1", "2"]), areUp);
      // What an operator writes for the next start, or begins to write.
      writeFileSync(config, JSON.stringify({ auth: "keys" }));
      const [killed = ""] = workers();
      process.kill(Number(killed), "SIGKILL");
      await vi.waitUntil(() => workers().length === 2 && !workers().includes(killed), areUp);
      await vi.waitFor(async () => expect(await labels()).toEqual(["1", "2"]), areUp);
      rmSync(config);
      const told = await Promise.all(
        Array.from({ length: 8 }, () => ask(url, { ...chat("settled"), model: "fast" }, { connection: "close" })),
      );
      expect(told.map((answer) => answer.status)).toEqual(new Array(8).fill(200));
    },
  );

  it.runIf(existsSync(childrenOf(process.pid)))(
    "gives up a connection that was handed to a worker which has died before it took it",
    async () => {
      const program = start({ LARDER_WORKERS: "2", PORT: String(await freePort()), ...SECRETS });
      const url = await program.listening();
      const workers = (): number[] => readFileSync(childrenOf(program.child.pid), "utf8").trim().split(" ").map(Number);
      const areUp = async (): Promise<boolean> => {
        const told = await (await fetch(`${url}/metrics`)).text();
        return ['worker="1"', 'worker="2"'].every((label) => told.includes(label));
      };
      await vi.waitUntil(areUp, { timeout: 15_000, interval: 50 });
      const ends: unknown[] = [];
      const alone = (): ClientRequest =>
        request(`${url}/healthz`, { agent: false }, (answer) => void ends.push(answer.resume().statusCode))
          .on("error", (error: NodeJS.ErrnoException) => void ends.push(error.code))
          .end();
      const [stopped] = workers() as [number];
      process.kill(stopped, "SIGSTOP");
      await vi.waitUntil(() => readFileSync(`/proc/${stopped}/status`, "utf8").includes("State:\tT"), { timeout: 15_000, interval: 10 });
      // They are handed out in turn, and whoever stands still is handed no second one.
      for (let round = 0; round < 4; round += 1) alone();
      await vi.waitFor(() => expect(ends).toEqual([200, 200, 200]), { timeout: 15_000, interval: 10 });
      process.kill(stopped, "SIGKILL");
      await vi.waitFor(() => expect(ends).toEqual([200, 200, 200, "ECONNRESET"]), { timeout: 15_000, interval: 10 });
    },
  );

  it("exports what any of its workers has, and imports it into all of them", async () => {
    const token = "a-token-for-the-workers";
    const fleet = async (): Promise<{ url: string; admin: (method: string, path: string, body?: string) => Promise<string> }> => {
      const program = start({ LARDER_WORKERS: "2", LARDER_ADMIN_TOKEN: token, PORT: String(await freePort()) });
      const url = await program.listening();
      const admin = async (method: string, path: string, body?: string): Promise<string> => {
        const headers = { authorization: `Bearer ${token}`, connection: "close" };
        return (await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })).text();
      };
      const processes = async (): Promise<unknown> => JSON.parse(await admin("GET", "/admin/cache/stats")).processes;
      await vi.waitFor(async () => expect(await processes()).toBe(2), { timeout: 10_000, interval: 50 });
      return { url, admin };
    };
    const [from, to] = [await fleet(), await fleet()];
    const bodies = Array.from({ length: 8 }, (_, index) => chat(`carried ${index}`));
    const verdicts = async (url: string): Promise<Set<string | null>> => {
      const answers = await Promise.all(bodies.map((body) => ask(url, body, { connection: "close" })));
      await Promise.all(answers.map((answer) => answer.text()));
      return new Set(answers.map((answer) => answer.headers.get("x-larder-cache")));
    };
    await verdicts(from.url);
    const lines = await from.admin("GET", "/admin/cache/export");
    expect(
      new Set(
        lines
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).key),
      ),
    ).toHaveProperty("size", bodies.length);
    expect(lines.trim().split("\n")).toHaveLength(bodies.length);
    expect(JSON.parse(await to.admin("POST", "/admin/cache/import", lines))).toMatchObject({ imported: bodies.length });
    const before = upstream.calls;
    for (let round = 0; round < 4; round += 1) expect([...(await verdicts(to.url))]).toEqual(["HIT"]);
    expect(upstream.calls).toBe(before);
    // More keys than may wait for the other processes at a time. A busy machine may take longer to answer than is waited for.
    const keys = Array.from({ length: 1_500 }, (_, index) => `1:0000000000000000:chat:m:${index}`);
    const drop = async (): Promise<unknown> => JSON.parse(await to.admin("POST", "/admin/cache/invalidate", JSON.stringify({ keys })));
    await vi.waitFor(async () => expect(await drop()).toMatchObject({ propagated: true }), { timeout: 10_000 });
    const dropAll = async (): Promise<unknown> => JSON.parse(await to.admin("POST", "/admin/cache/invalidate", '{"all":true}'));
    await vi.waitFor(async () => expect(await dropAll()).toMatchObject({ propagated: true }), { timeout: 10_000 });
    expect(await to.admin("GET", "/admin/cache/export")).toBe("");
  }, 60_000);

  it("tells the numbers of all workers, whichever of them is asked", async () => {
    const token = "a-token-for-the-workers";
    const program = start({
      LARDER_WORKERS: "2",
      LARDER_ADMIN_TOKEN: token,
      LARDER_COHERENCE_SAMPLE_RATE: "1",
      PORT: String(await freePort()),
    });
    const url = await program.listening();
    const get = async (path: string): Promise<Response> =>
      fetch(url + path, { headers: { authorization: `Bearer ${token}`, connection: "close" } });
    const stats = async (): Promise<{ processes: number; requests: { total: number } }> =>
      (await (await get("/admin/cache/stats")).json()) as never;
    await vi.waitFor(async () => expect((await stats()).processes).toBe(2), { timeout: 10_000, interval: 50 });
    for (let round = 0; round < 6; round += 1) await (await ask(url, chat(`counted ${round}`), { connection: "close" })).text();
    const sums = async (): Promise<number[]> => {
      const text = await (await get("/metrics")).text();
      const series = text.split("\n").filter((line) => /^larder_requests_total\{.*worker="\d+"/.test(line));
      expect(text.match(/^# TYPE larder_requests_total /gm)).toHaveLength(1);
      expect(text.match(/^larder_inconsistent_total\{worker="\d+"\} 0$/gm)).toHaveLength(2);
      expect(new Set(text.match(/^larder_request_duration_seconds_count\{source="hit",worker="\d+"\}/gm)).size).toBe(2);
      return [series.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0), (await stats()).requests.total];
    };
    for (let round = 0; round < 3; round += 1) {
      expect(await sums()).toEqual([6, 6]);
      expect(await (await get("/admin/cache/near-misses")).json()).toEqual({ fields: [{ field: "messages", requests: 6, entries: 1 }] });
    }
    program.child.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  });

  it("holds a limit over all its workers, of requests at a time and of a minute", async () => {
    const config = `${path}.limits.json`;
    writeFileSync(config, JSON.stringify({ addressLimits: { requestsPerMinute: 24, concurrency: 4 } }));
    const program = start({ LARDER_WORKERS: "2", LARDER_CONFIG: config, PORT: String(await freePort()), ...SECRETS });
    const url = await program.listening();
    const headers = { authorization: `Bearer ${SECRETS.LARDER_ADMIN_TOKEN}`, connection: "close" };
    const stats = async (): Promise<unknown> => (await fetch(`${url}/admin/cache/stats`, { headers })).json();
    await vi.waitFor(async () => expect(await stats()).toMatchObject({ processes: 2 }), { timeout: 10_000, interval: 50 });
    rmSync(config);
    const held = gate();
    upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const statuses: number[] = [];
    const take = async (text: string): Promise<void> => {
      const response = await ask(url, chat(text), { connection: "close" });
      await response.text();
      statuses.push(response.status);
      if (response.status === 429) expect(Number(response.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    };
    const calls = upstream.calls;
    const together = Promise.all(Array.from({ length: 16 }, (_, index) => take(`together ${index}`)));
    // Where something below fails, the program is ended under them: that is no error of its own.
    together.catch(() => {});
    // Two workers by themselves would let eight in. On a busy machine the primary may answer too late for one or another.
    await vi.waitFor(() => expect(statuses.length + upstream.calls - calls).toBe(16), { timeout: 10_000 });
    expect(statuses.every((status) => status === 429)).toBe(true);
    expect(statuses.length).toBeGreaterThan(8);
    held.open();
    await together;
    for (let index = 0; index < 60; index += 1) await take(`one by one ${index}`);
    const letIn = statuses.filter((status) => status === 200).length;
    expect(letIn).toBeGreaterThanOrEqual(24);
    expect(letIn).toBeLessThan(40);
  });

  it("ends all its workers on a signal that comes while some of them still start", async () => {
    const program = start({ LARDER_WORKERS: "4", PORT: String(await freePort()) });
    await program.listening();
    program.child.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  });
});
