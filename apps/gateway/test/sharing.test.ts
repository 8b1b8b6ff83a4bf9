import { once } from "node:events";
import { OutgoingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";
import { chatEvents, vectorOf } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

const EVENTS = chatEvents({ model: "fixture-model" }, 77);

/** Makes the upstream tell its first events at once and the rest when a gate opens. */
function holdStream(first: number): { open(): void; begun: Promise<void> } {
  const held = gate();
  const begun = gate();
  bed.upstream.behaviour = async (seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const event of EVENTS.slice(0, first)) response.write(event);
    begun.open();
    await held.opened;
    if (seen.wasAborted) return true;
    for (const event of EVENTS.slice(first)) response.write(event);
    response.end();
    return true;
  };
  return { open: held.open, begun: begun.opened };
}

/** Resolves when so many requests are being answered, and each of them has gone as far as it can. */
async function untilWaiting(count: number | ((inFlight: number) => boolean)): Promise<void> {
  const holds = typeof count === "number" ? (inFlight: number): boolean => inFlight >= count : count;
  for (let inFlight = -1; inFlight < 0 || !holds(inFlight); ) {
    const stats = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as { requests: { inFlight: number } };
    inFlight = stats.requests.inFlight;
  }
  // The body of the last one may still be on its way.
  await bed.admin("GET", "/admin/cache/stats");
}

describe("callers for whom a stored answer is too old", () => {
  const YOUNG = { "cache-control": "max-age=5" };
  const send = (
    text: string,
    { isStream = false, headers = {}, signal }: { isStream?: boolean; headers?: object; signal?: AbortSignal } = {},
  ) =>
    fetch(`${bed.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(chat(text, { stream: isStream })),
      headers: { "content-type": "application/json", ...headers },
      signal: signal ?? null,
    });

  const now = performance.now.bind(performance);
  let passedMs = 0;

  afterEach(() => {
    vi.restoreAllMocks();
    bed.upstream.behaviour = undefined;
  });

  /** Stores an answer, lets ten seconds pass, and holds the next one back. */
  async function storeOld(text: string): Promise<{ readonly before: number; open(): void }> {
    await (await send(text)).text();
    passedMs = 10_000;
    vi.spyOn(performance, "now").mockImplementation(() => now() + passedMs);
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    return { before: bed.upstream.calls, open: held.open };
  }

  it.each([
    ["whole answers", [false]],
    ["streams", [true]],
    ["both", [true, false]],
  ])("share one upstream call: 12 of %s", async (name, streams) => {
    const { before, open } = await storeOld(`too old ${name}`);
    const requests = Array.from({ length: 12 }, (_, index) =>
      send(`too old ${name}`, { isStream: streams[index % streams.length] as boolean, headers: YOUNG }),
    );
    await until(() => bed.upstream.calls > before);
    await untilWaiting(12);
    open();
    const told = await Promise.all(
      requests.map(async (request) => {
        const response = await request;
        await response.text();
        return response.headers.get("x-larder-cache");
      }),
    );
    expect(bed.upstream.calls - before).toBe(1);
    expect(told.sort()).toEqual([...Array.from({ length: 11 }, () => "COALESCED"), "REFRESH"]);
    expect((await send(`too old ${name}`, { headers: YOUNG })).headers.get("x-larder-cache")).toBe("HIT");
  });

  it("share the call for each item of their embeddings", async () => {
    const embed = async (input: string[], headers: Record<string, string> = {}) => {
      const response = await bed.post("/v1/embeddings", { model: "fixture-embedding", input }, headers);
      const { data } = (await response.json()) as { data: Array<{ embedding: number[] }> };
      return [response.headers.get("x-larder-cache"), data.map(({ embedding }) => embedding)];
    };
    await embed(["a", "b"]);
    const { before, open } = await storeOld("beside embeddings");
    const first = embed(["a", "b"], YOUNG);
    await until(() => bed.upstream.calls > before);
    const others = [embed(["b", "a"], YOUNG), embed(["a"], YOUNG), embed(["c", "b"], YOUNG)];
    await until(() => bed.upstream.calls > before + 1);
    await untilWaiting(4);
    open();
    const [a, b, c] = ["a", "b", "c"].map(vectorOf);
    expect(await Promise.all([first, ...others])).toEqual([
      ...[
        ["REFRESH", [a, b]],
        ["COALESCED", [b, a]],
      ],
      ...[
        ["COALESCED", [a]],
        ["MISS", [c, b]],
      ],
    ]);
    expect(bed.upstream.seen.slice(-2).map(({ body }) => body.input)).toEqual([["a", "b"], ["c"]]);
    expect(bed.upstream.calls - before).toBe(2);
    expect(await embed(["a", "b", "c"], YOUNG)).toEqual(["HIT", [a, b, c]]);
  });

  it("do not lose the call with the one who has begun it; the last to leave ends it", async () => {
    const { before, open } = await storeOld("left");
    const leaving = Array.from({ length: 3 }, () => new AbortController());
    const ask = (by: AbortController | undefined): Promise<string> =>
      send("left", { headers: YOUNG, signal: (by as AbortController).signal }).then(
        (response) => response.text(),
        () => "left",
      );
    const first = ask(leaving[0]);
    await until(() => bed.upstream.calls > before);
    const call = bed.upstream.seen.at(-1);
    const others = [ask(leaving[1]), ask(leaving[2])];
    await untilWaiting(3);
    for (const [index, controller] of leaving.entries()) {
      expect(call?.wasAborted).toBe(false);
      controller.abort();
      if (index < 2) await untilWaiting((inFlight) => inFlight <= 2 - index);
    }
    await until(() => call?.wasAborted === true);
    expect(await Promise.all([first, ...others])).toEqual(["left", "left", "left"]);
    open();
    expect(bed.upstream.calls - before).toBe(1);
  });

  it("make a call of their own where the other one is of before an invalidation, began too long ago, or lacks their tags", async () => {
    const { before, open } = await storeOld("own");
    const asked = [send("own", { headers: YOUNG })];
    await until(() => bed.upstream.calls === before + 1);
    // It is another's, and all calls under way are detached.
    await bed.admin("POST", "/admin/cache/invalidate", { tag: "other" });
    asked.push(send("own", { headers: YOUNG }));
    await until(() => bed.upstream.calls === before + 2);
    passedMs += 6_000;
    asked.push(send("own", { headers: YOUNG }));
    await until(() => bed.upstream.calls === before + 3);
    asked.push(send("own", { headers: { ...YOUNG, "x-larder-cache-tags": "mine" } }));
    await until(() => bed.upstream.calls === before + 4);
    open();
    expect((await Promise.all(asked)).map(({ headers }) => headers.get("x-larder-cache"))).toEqual(asked.map(() => "REFRESH"));
  });
});

describe("identical requests in flight", () => {
  it.each([
    ["whole answers", [false]],
    ["streams", [true]],
    ["both", [true, false]],
  ])("share one upstream call: 20 of %s", async (name, streams) => {
    const before = bed.upstream.calls;
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const requests = Array.from({ length: 20 }, (_, index) =>
      bed.post("/v1/chat/completions", chat(`in flight ${name}`, { stream: streams[index % streams.length] })),
    );
    await until(() => bed.upstream.calls > before);
    await untilWaiting(20);
    held.open();
    const verdicts = await Promise.all(
      requests.map(async (request) => {
        const response = await request;
        await response.text();
        return response.headers.get("x-larder-cache");
      }),
    );
    bed.upstream.behaviour = undefined;
    expect(bed.upstream.calls - before).toBe(1);
    expect(verdicts.filter((verdict) => verdict === "MISS")).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === "COALESCED").length).toBe(19);
  });

  it("a late joiner of a stream gets what has already come, then the live tail", async () => {
    const before = bed.upstream.calls;
    const stream = holdStream(5);
    const first = await bed.post("/v1/chat/completions", chat("late", { stream: true }));
    await stream.begun;
    const reader = (first.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const late = await bed.post("/v1/chat/completions", chat("late", { stream: true }));
    const lateReader = (late.body as ReadableStream<Uint8Array>).getReader();
    const come = Buffer.from((await lateReader.read()).value as Uint8Array).toString();
    expect(come).toBe(EVENTS.slice(0, 5).join(""));
    stream.open();
    let rest = "";
    for (let piece = await lateReader.read(); !piece.done; piece = await lateReader.read()) rest += Buffer.from(piece.value).toString();
    bed.upstream.behaviour = undefined;
    expect(come + rest).toBe(EVENTS.join(""));
    expect([late.headers.get("x-larder-cache"), bed.upstream.calls - before]).toEqual(["COALESCED", 1]);
    await reader.cancel();
  });

  it("one caller who leaves disturbs nobody; the last one frees the upstream", async () => {
    const stream = holdStream(3);
    const ask = (signal: AbortSignal): Promise<Response> =>
      fetch(`${bed.url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify(chat("leaving", { stream: true })),
        headers: { "content-type": "application/json" },
        signal,
      });
    const leaving = [new AbortController(), new AbortController()] as const;
    const responses = [await ask(leaving[0].signal), await ask(leaving[1].signal)] as const;
    await stream.begun;
    const call = bed.upstream.seen.at(-1);
    leaving[0].abort();
    const reader = (responses[1].body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(call?.wasAborted).toBe(false);
    leaving[1].abort();
    await until(() => call?.wasAborted === true);
    stream.open();
    bed.upstream.behaviour = undefined;
    expect((await bed.post("/v1/chat/completions", chat("leaving"))).headers.get("x-larder-cache")).toBe("MISS");
  });

  it("a caller that closes its side of the connection has left: one that is gone sends the same", async () => {
    const stream = holdStream(3);
    const body = JSON.stringify(chat("half closed"));
    const socket = connect(bed.gateway.port, "127.0.0.1");
    socket.end(`POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await stream.begun;
    const call = bed.upstream.seen.at(-1);
    await until(() => call?.wasAborted === true);
    stream.open();
    bed.upstream.behaviour = undefined;
  });

  it("a reader that stalls holds up neither the others nor the upstream, and its socket holds little of the stream", async () => {
    const before = bed.upstream.calls;
    const piece = "x".repeat(64 * 1024);
    const pieces = 180;
    bed.upstream.behaviour = async (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const event = (delta: unknown, finish: string | null = null): string =>
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
      for (let index = 0; index < pieces; index += 1)
        if (!response.write(event({ role: "assistant", content: piece }))) await once(response, "drain");
      response.end(`${event({}, "stop")}data: [DONE]\n\n`);
      return true;
    };
    let mostHeld = 0;
    const write = vi.spyOn(ServerResponse.prototype, "write").mockImplementation(function (this: ServerResponse, ...args: unknown[]) {
      const isRoom = OutgoingMessage.prototype.write.apply(this, args as Parameters<OutgoingMessage["write"]>);
      mostHeld = Math.max(mostHeld, this.writableLength);
      return isRoom;
    });
    const body = JSON.stringify(chat("stalling", { stream: true }));
    const stalled = connect(bed.gateway.port, "127.0.0.1").pause();
    stalled.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => bed.upstream.calls > before);
    const fast = await bed.post("/v1/chat/completions", body);
    const text = await fast.text();
    write.mockRestore();
    expect([fast.headers.get("x-larder-cache"), text.length > pieces * piece.length, text.endsWith("data: [DONE]\n\n")]).toEqual([
      "COALESCED",
      true,
      true,
    ]);
    expect(mostHeld).toBeLessThan(1024 * 1024);
    let late = "";
    stalled.setEncoding("latin1").on("data", (data) => {
      late += String(data);
    });
    stalled.resume();
    await once(stalled, "close");
    bed.upstream.behaviour = undefined;
    const content = (sse: string): number => sse.split("x").length - 1;
    // What came in chunks carries their sizes; the content is counted.
    expect(content(late) - content(late.slice(0, late.indexOf("\r\n\r\n")))).toBe(content(text));
    expect(bed.upstream.calls - before).toBe(1);
    const again = await bed.post("/v1/chat/completions", body);
    const contentOf = (sse: string): number =>
      [...sse.matchAll(/"content":"(x+)"/g)].reduce((length, [, told]) => length + (told as string).length, 0);
    expect([again.headers.get("x-larder-cache"), contentOf(await again.text())]).toEqual(["HIT", pieces * piece.length]);
  });

  it("an invalidation meanwhile: the answer goes to those who waited, and is not stored", async () => {
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const before = bed.upstream.calls;
    const waiting = bed.post("/v1/chat/completions", chat("invalidated meanwhile"));
    await until(() => bed.upstream.calls > before);
    expect((await bed.admin("POST", "/admin/cache/invalidate", { all: true })).status).toBe(200);
    const later = bed.post("/v1/chat/completions", chat("invalidated meanwhile"));
    await until(() => bed.upstream.calls > before + 1);
    held.open();
    const [old, fresh] = await Promise.all([waiting, later]);
    bed.upstream.behaviour = undefined;
    expect(await old.text()).not.toBe(await fresh.clone().text());
    const after = await bed.post("/v1/chat/completions", chat("invalidated meanwhile"));
    expect([after.headers.get("x-larder-cache"), await after.text()]).toEqual(["HIT", await fresh.text()]);
  });

  it("an invalidation meanwhile: a stream reads along with its own call, whoever comes later and leaves", async () => {
    const body = chat("two calls of one request", { stream: true });
    const before = bed.upstream.calls;
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const early = bed.post("/v1/chat/completions", body);
    await until(() => bed.upstream.calls > before);
    await bed.admin("POST", "/admin/cache/invalidate", { all: true });
    holdStream(2);
    const leaving = new AbortController();
    const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, signal: leaving.signal };
    const late = await fetch(`${bed.url}/v1/chat/completions`, init);
    await late.body?.getReader().read();
    leaving.abort();
    await until(() => bed.upstream.seen.at(-1)?.wasAborted === true);
    held.open();
    const told = await (await early).text();
    expect([told.includes("several words."), told.includes('"error"')]).toEqual([true, false]);
    bed.upstream.behaviour = undefined;
  });

  it("an answer that was invalidated while it was made is not said to be stored", async () => {
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const before = bed.upstream.calls;
    const waiting = bed.post("/v1/chat/completions", chat("dropped meanwhile"));
    await until(() => bed.upstream.calls > before);
    await bed.admin("POST", "/admin/cache/invalidate", { all: true });
    held.open();
    expect((await waiting).headers.get("cache-status")).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=invalidated$/);
    bed.upstream.behaviour = undefined;
    const again = await bed.post("/v1/chat/completions", chat("dropped meanwhile"));
    expect(again.headers.get("cache-status")).toMatch(/^larder; fwd=miss; ttl=\d+; stored; key=/);
  });

  it("shares an upstream's failure without repeating the call, and the next request tries again", async () => {
    const before = bed.upstream.calls;
    const held = gate();
    bed.upstream.behaviour = async (_seen, response) => {
      await held.opened;
      response.writeHead(500, { "content-type": "application/json" }).end('{"error":{"message":"broken","type":"server_error"}}');
      return true;
    };
    const requests = Array.from({ length: 5 }, () => bed.post("/v1/chat/completions", chat("failing")));
    await until(() => bed.upstream.calls > before);
    await untilWaiting(5);
    held.open();
    expect((await Promise.all(requests)).map((response) => response.status)).toEqual([500, 500, 500, 500, 500]);
    expect(bed.upstream.calls - before).toBe(1);
    bed.upstream.behaviour = undefined;
    expect((await bed.post("/v1/chat/completions", chat("failing"))).status).toBe(200);
  });
});
