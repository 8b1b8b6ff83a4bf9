import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ApiRouter } from "../src/api-router.ts";
import { createSettings } from "../src/config/read-settings.ts";
import { createGatewayCore } from "../src/gateway-core.ts";
import type { Exchange } from "../src/http/exchange.ts";
import { FetchExchange } from "../src/http/fetch-exchange.ts";
import { GatewayServer } from "../src/server.ts";
import { operatorProviders } from "../src/upstream/operator-providers.ts";
import { PooledUpstream } from "../src/upstream/pooled-upstream.ts";
import { ProviderTable } from "../src/upstream/provider-table.ts";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";
import { chatEvents, FixtureUpstream } from "./support/upstream.ts";

let bed: Bed | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await bed?.close();
  bed = undefined;
});

/** A connection that is closed when the test is over. */
async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket.on("error", () => undefined));
  await once(socket, "connect");
  return socket;
}

/** Everything that comes on a connection until it is closed. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => {
    text += data.toString();
  });
  await once(socket.resume(), "close");
  return text;
}

describe("slow request bodies", () => {
  it.each([
    ["/v1/chat/completions", "content-length: 100", { error: { type: "invalid_request_error", code: "request_timeout" } }],
    ["/v1/embeddings", "transfer-encoding: chunked", { error: { type: "invalid_request_error", code: "request_timeout" } }],
    ["/v1/messages", "content-length: 100", { type: "error", error: { type: "invalid_request_error" } }],
  ])("are answered 408 in the shape of %s, sent by %s, and the connection ends", async (path, framing, shape) => {
    bed = await startBed({ bodyTimeout: "50ms" });
    const socket = await open(bed.gateway.port);
    const begun = framing.startsWith("content") ? '{"model":' : '9\r\n{"model":\r\n';
    socket.write(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${framing}\r\n\r\n${begun}`);
    const [head = "", body = ""] = (await readToEnd(socket)).split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 408 /);
    expect(head.toLowerCase()).toContain("connection: close");
    expect(JSON.parse(body)).toMatchObject(shape);
    expect(bed.upstream.calls).toBe(0);
    expect((await bed.post("/v1/chat/completions", chat("after a slow one"))).status).toBe(200);
  });
});

it.each([
  ["before its body is whole", "100"],
  ["once its body is whole", "2"],
])("a caller that leaves while it is made out who it is, %s, is waited for no longer", async (_when, length) => {
  const [asked, known] = [gate(), gate()];
  const identity = { tenant: "t", keyId: undefined, limits: {}, upstreamKey: undefined };
  const core = createGatewayCore({
    settings: createSettings({}),
    log: pino({ level: "silent" }),
    authenticator: {
      identify: () => {
        asked.open();
        return known.opened.then(() => identity);
      },
    },
    directory: { table: () => Promise.reject(new Error("nobody is left to be answered")) },
  });
  let left: Promise<unknown> | undefined;
  const handle = (exchange: Exchange): Promise<void> => {
    left = new Promise<void>((resolve) => exchange.onAbandoned(resolve));
    return core.api.handle(exchange);
  };
  const server = new GatewayServer({ api: { handle } as unknown as ApiRouter, other: () => undefined });
  const socket = await open(await server.listen(0, "127.0.0.1"));
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${length}\r\n\r\n{}`);
  await asked.opened;
  socket.destroy();
  await left;
  expect(core.parts.meter.inFlight).toBe(1);
  known.open();
  await until(() => core.parts.meter.inFlight === 0);
  await server.close(100);
  await core.close();
});

it("a caller that has left before it could join somebody else's stream does not wait for the end of that", async () => {
  const upstream = await FixtureUpstream.start();
  const [asked, known, written] = [gate(), gate(), gate()];
  upstream.behaviour = async (seen, response) => {
    const [first, ...others] = chatEvents(seen.body, 1);
    response.writeHead(200, { "content-type": "text/event-stream" }).write(first);
    await written.opened;
    response.end(others.join(""));
    return true;
  };
  const settings = createSettings({ openaiBaseUrl: upstream.url, openaiApiKey: "sk-of-a-test" });
  const { providers, fallback, anthropic } = operatorProviders(settings, new PooledUpstream({ connections: 2 }));
  const table = new ProviderTable(settings, providers, fallback, anthropic);
  const tables = [table, known.opened.then(() => table)];
  const core = createGatewayCore({
    settings,
    log: pino({ level: "silent" }),
    authenticator: { identify: () => ({ tenant: "t", keyId: undefined, limits: {}, upstreamKey: undefined }) },
    directory: {
      table: () => {
        if (tables.length === 1) asked.open();
        return tables.shift() as ProviderTable;
      },
    },
  });
  const leaving = new AbortController();
  const ask = (signal?: AbortSignal): FetchExchange => {
    const body = JSON.stringify(chat("told to two", { stream: true }));
    const exchange = new FetchExchange(new Request("http://gateway/v1/chat/completions", { method: "POST", body, signal: signal ?? null }));
    void core.api.handle(exchange);
    return exchange;
  };
  const whole = (await ask().response).text();
  const unanswered = ask(leaving.signal).response.catch((error: unknown) => error);
  await asked.opened;
  leaving.abort();
  known.open();
  expect(await unanswered).toMatchObject({ name: "AbortError" });
  await until(() => core.parts.meter.inFlight === 1);
  written.open();
  expect(await whole).toMatch(/\[DONE\]\s*$/);
  await until(() => core.parts.meter.inFlight === 0);
  await Promise.all([core.close(), upstream.close()]);
});

it("takes a body that comes in many pieces whole", async () => {
  bed = await startBed();
  const words = Array.from({ length: 200_000 }, (_, index) => index.toString(36)).join(" ");
  expect((await bed.post("/v1/chat/completions", chat(words))).status).toBe(200);
  expect(bed.upstream.seen.at(-1)?.body.messages).toEqual(chat(words).messages);
});

describe("an answer that comes before its request is whole", () => {
  it("reaches a sender that reads only when it has sent everything", async () => {
    bed = await startBed({ maxBody: "1kb" });
    const socket = await open(bed.gateway.port);
    const piece = Buffer.alloc(1024 * 1024, " ");
    socket.pause().write(`POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${piece.length * 16}\r\n\r\n`);
    for (let sent = 0; sent < 16 && !socket.destroyed; sent += 1)
      if (!socket.write(piece)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
    const text = socket.closed ? "nothing" : await readToEnd(socket);
    expect(text).toMatch(/^HTTP\/1\.1 413 .*connection: close.*"code":"request_too_large"\}\}$/is);
  });
});

describe("idle connections", () => {
  it("2,000 of them, silent or kept alive, neither stop the service nor hold up its end", async () => {
    bed = await startBed();
    const { port } = bed.gateway;
    const idle: Socket[] = [];
    for (let opened = 0; opened < 2_000; opened += 200) idle.push(...(await Promise.all(Array.from({ length: 200 }, () => open(port)))));
    let answered = 0;
    for (const socket of idle.slice(0, 1_000)) {
      socket.once("data", () => {
        answered += 1;
      });
      socket.write("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    }
    await until(() => answered === 1_000);
    const verdicts = [];
    for (const text of ["crowded", "crowded", "crowded stream"]) {
      const answer = await bed.post("/v1/chat/completions", chat(text, { stream: text.endsWith("stream") }));
      verdicts.push([answer.status, answer.headers.get("x-larder-cache"), (await answer.text()).length > 0]);
    }
    expect(verdicts).toEqual([
      [200, "MISS", true],
      [200, "HIT", true],
      [200, "MISS", true],
    ]);
    expect(idle.every((socket) => !socket.closed)).toBe(true);
    const ended = idle.map((socket) => socket.closed || once(socket.resume(), "close"));
    await bed.close();
    bed = undefined;
    // Well before the 30 s after which what has not ended would be broken off: the test's own limit is 20 s.
    await Promise.all(ended);
  });
});

describe("a caller that does not read its answer", () => {
  it("is over when it leaves, although more of the same packet was to be written: its place among the requests at a time is free again", async () => {
    bed = await startBed();
    const { upstream, gateway, url } = bed;
    const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "x".repeat(8_000) }, finish_reason: null }] })}\n\n`;
    const packet = event.repeat(32);
    let held = 0;
    let isWriting = true;
    upstream.behaviour = async (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      while (isWriting) {
        if (response.write(packet)) continue;
        held += 1;
        await Promise.race([once(response, "drain"), once(response, "close")]);
        held -= 1;
      }
      return true;
    };
    const body = JSON.stringify(chat("left while it is written to", { stream: true }));
    const socket = await open(gateway.port);
    socket
      .pause()
      .write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\nx-larder-cache-mode: off\r\n\r\n${body}`,
      );
    // The sockets on the way are full when the provider has to wait for as long as a few looks at it.
    for (let looks = 0; looks < 20; looks = held === 0 ? 0 : looks + 1) await sleep(10);
    isWriting = false;
    socket.destroy();
    const running = async (): Promise<string | undefined> =>
      /^larder_requests_in_flight (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
    await vi.waitFor(async () => expect(await running()).toBe("0"), { timeout: 10_000, interval: 20 });
  });

  it("is given up after a while, and one that waits for its answer is not", async () => {
    const responses: ServerResponse[] = [];
    const server = new GatewayServer({
      api: { handle: async () => undefined } as unknown as ApiRouter,
      other: (_request, response) => void responses.push(response),
      stallMs: 40,
    });
    const port = await server.listen(0, "127.0.0.1");
    const [stalled, waiting] = [await open(port), await open(port)];
    for (const socket of [stalled, waiting]) socket.pause().write("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    await until(() => responses.length === 2);
    const [first, second] = responses as [ServerResponse, ServerResponse];
    // Small pieces until the sockets of both ends hold no more: little waits at a time, so that the rate demanded of large ones is no matter.
    const piece = Buffer.alloc(1024);
    const fill = (): void => {
      while (first.write(piece));
    };
    first.on("drain", fill);
    fill();
    await once(first, "close");
    expect([first.writableFinished, second.destroyed, second.closed]).toEqual([false, false, false]);
    second.end("late, and whole");
    waiting.write("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    await until(() => responses.length === 3);
    responses[2]?.end();
    expect(await readToEnd(waiting)).toContain("late, and whole");
    await server.close(100);
  });
});
