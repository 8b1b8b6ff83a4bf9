import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, startBed } from "./support/start.ts";
import { answer, chatEvents } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

describe("a provider that answers unusually", () => {
  it("may write its media types as it likes", async () => {
    bed.upstream.behaviour = ({ body }, response) => {
      response.writeHead(200, { "content-type": "Text/Event-Stream; Charset=UTF-8" }).end(chatEvents(body, 1).join(""));
      return true;
    };
    const ask = async (): Promise<unknown[]> => {
      const response = await bed.post("/v1/chat/completions", chat("in capitals", { stream: true }));
      return [response.status, response.headers.get("x-larder-cache"), (await response.text()).endsWith("data: [DONE]\n\n")];
    };
    expect([await ask(), await ask()]).toEqual([
      [200, "MISS", true],
      [200, "HIT", true],
    ]);
  });

  it.each([407, 600, 999])("is told as 502 for a status that clients cannot be told: %i", async (status) => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(status, { "content-type": "application/json" }).end('{"error":{"message":"mine"}}');
      return true;
    };
    for (const path of ["/v1/chat/completions", "/v1/moderations"]) {
      const response = await bed.post(path, chat(`status ${status}`));
      expect([response.status, await response.json()]).toEqual([502, { error: { message: "mine" } }]);
    }
  });

  // Regression: streams were passed on as 200, without the header that says what they are, and each line was garbage.
  it.each([true, false])("is told as 502 for an encoding that was not asked for and is not known: stream %s", async (stream) => {
    let calls = 0;
    bed.upstream.behaviour = (_seen, response) => {
      calls += 1;
      const type = stream ? "text/event-stream" : "application/json";
      response.writeHead(200, { "content-type": type, "content-encoding": "zstd" }).end(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 10, 10]));
      return true;
    };
    const response = await bed.post("/v1/chat/completions", chat("encoded", { stream }));
    expect([response.status, ((await response.json()) as { error: { message: string } }).error.message]).toEqual([
      502,
      "The provider answered in an encoding that it was not asked for.",
    ]);
    expect(calls).toBe(1);
  });

  it("may say that it does not encode", async () => {
    bed.upstream.behaviour = ({ body }, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "Identity" }).end(chatEvents(body, 1).join(""));
      return true;
    };
    const response = await bed.post("/v1/chat/completions", chat("identity", { stream: true }));
    expect([response.status, (await response.text()).endsWith("data: [DONE]\n\n")]).toEqual([200, true]);
  });

  it("may stream more than is kept: all of it is passed on, nothing is stored, and the metrics say why", async () => {
    const megabyte = `data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(1024 * 1024)}"}}]}\n\n`;
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).end(`${megabyte.repeat(17)}data: [DONE]\n\n`);
      return true;
    };
    const metrics = async (): Promise<string> => (await fetch(`${bed.url}/metrics`)).text();
    const failures = async (): Promise<string | undefined> => /^larder_upstream_calls_total\{.*"failure"\} .*$/m.exec(await metrics())?.[0];
    const before = await failures();
    const body = chat("without end", { stream: true });
    const response = await bed.post("/v1/chat/completions", body);
    const { length } = await response.text();
    expect([response.headers.get("x-larder-cache"), length]).toEqual(["MISS", megabyte.length * 17 + "data: [DONE]\n\n".length]);
    expect((await bed.post("/v1/chat/completions", body, { "cache-control": "only-if-cached" })).status).toBe(504);
    expect(await metrics()).toContain('larder_answers_not_stored_total{endpoint="chat",reason="too-long"} 1\n');
    expect(await failures()).toBe(before);
  });

  it("may be cut by the caller's own limit in the input of a tool: that is no failure, costs what it tells, and is not kept", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const message = { type: "message", role: "assistant", model: "m", content: [], stop_reason: null, usage: { input_tokens: 1000 } };
      const events = [
        { type: "message_start", message },
        { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t", name: "weather", input: {} } },
        { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"city":"Os' } },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: { stop_reason: "max_tokens" }, usage: { output_tokens: 7 } },
        { type: "message_stop" },
      ];
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
      return true;
    };
    const tell = async (): Promise<readonly unknown[]> => {
      const { spent } = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as { spent: { inputTokens: number } };
      const metrics = await (await fetch(`${bed.url}/metrics`)).text();
      const failed = metrics.split("\n").filter((line) => /^larder_request_errors_total\{endpoint="messages"/.test(line));
      return [spent.inputTokens, failed, bed.logs.filter((line) => line.includes("broke off an answer")).length];
    };
    const [tokens, failed, logged] = await tell();
    const body = { model: "m", max_tokens: 7, messages: [{ role: "user", content: "cut" }] };
    const whole = bed.post("/v1/messages", body);
    await (await bed.post("/v1/messages", { ...body, stream: true })).text();
    expect(await (await whole).json()).toMatchObject({ stop_reason: "max_tokens", content: [{ input: '{"city":"Os' }] });
    expect((await bed.post("/v1/messages", body, { "cache-control": "only-if-cached" })).status).toBe(504);
    const [after, ...rest] = await tell();
    expect([Number(after) % 1000, Number(after) > Number(tokens), ...rest]).toEqual([Number(tokens) % 1000, true, failed, logged]);
  });

  it.each([{}, { "cache-control": "no-store" }])("may tell of all its images in one event, however long: %o", async (headers) => {
    const [begun, ended] = ["begun", "ended"].map((name) => `event: ${name}\ndata: {"response":{}}\n\n`) as [string, string];
    const long = `event: response.completed\ndata: {"response":{"output":["${"x".repeat(20 * 1024 * 1024)}"]}}\n\n`;
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).end(begun + long + ended);
      return true;
    };
    const response = await bed.post("/v1/responses", { model: "m", input: "many images", stream: true }, headers);
    expect([response.status, (await response.text()) === begun + long + ended]).toEqual([200, true]);
  });

  it("is told with an answer that is not kept why it is not", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"data":[{"url":"https://images.invalid/1.png"}]}');
      return true;
    };
    const response = await bed.post("/v1/images/generations", { model: "m", prompt: "a link" });
    expect(response.headers.get("cache-status")).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=links-expire$/);
  });

  it("may answer with more than the memory holds: it is passed on, and not said to be stored", async () => {
    const small = await startBed({ cacheMaxBytes: "64kb" });
    small.upstream.behaviour = (_seen, response) => {
      const message = { role: "assistant", content: "x".repeat(100_000) };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ id: "c", object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] }));
      return true;
    };
    for (let round = 0; round < 2; round += 1) {
      const response = await small.post("/v1/chat/completions", chat("more than there is room for"));
      expect(response.headers.get("cache-status")).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=too-large$/);
    }
    const metrics = await (await fetch(`${small.url}/metrics`)).text();
    expect(metrics).toContain('larder_answers_not_stored_total{endpoint="chat",reason="too-large"} 2\n');
    await small.close();
  });

  it("may answer with what the memory does not hold for its tags alone: the same is said", async () => {
    const small = await startBed({ cacheMaxBytes: "4kb" });
    const tags = Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(128, "x")).join(",");
    for (let round = 0; round < 2; round += 1) {
      const response = await small.post("/v1/chat/completions", chat("many tags"), { "x-larder-cache-tags": tags });
      expect(response.headers.get("cache-status")).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=too-large$/);
    }
    const metrics = await (await fetch(`${small.url}/metrics`)).text();
    expect(metrics).toContain('larder_answers_not_stored_total{endpoint="chat",reason="too-large"} 2\n');
    await small.close();
  });

  it("may answer with a part, which is passed on and not kept", async () => {
    const message = { role: "assistant", content: "a part" };
    const whole = { id: "c", object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] };
    bed.upstream.behaviour = (seen, response) => {
      const data = [{ object: "embedding", index: 0, embedding: [1, 2] }];
      const body = seen.path.includes("embeddings") ? { object: "list", data, usage: { prompt_tokens: 1, total_tokens: 1 } } : whole;
      response.writeHead(206, { "content-type": "application/json", "content-range": "bytes 0-9/99" }).end(JSON.stringify(body));
      return true;
    };
    for (let round = 0; round < 2; round += 1) {
      const response = await bed.post("/v1/chat/completions", chat("a part"));
      expect(response.headers.get("cache-status")).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=partial$/);
      expect(await response.json()).toEqual(whole);
      const embedding = await bed.post("/v1/embeddings", { model: "fixture-model", input: "a part" });
      expect(embedding.headers.get("cache-status")).not.toContain("stored");
      expect([embedding.headers.get("x-larder-cache"), await embedding.json()]).toMatchObject(["MISS", { data: [{ embedding: [1, 2] }] }]);
    }
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(206, { "content-type": "text/event-stream" });
      for (const event of chatEvents({ model: "m" }, 1)) response.write(event);
      response.end();
      return true;
    };
    for (let round = 0; round < 2; round += 1) {
      const response = await bed.post("/v1/chat/completions", chat("a part, streamed", { stream: true }));
      expect([response.headers.get("x-larder-cache"), (await response.text()).includes("[DONE]")]).toEqual(["MISS", true]);
    }
  });

  it("is told as a failure when it answers a stream with nothing", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(204).end();
      return true;
    };
    expect((await bed.post("/v1/chat/completions", chat("nothing", { stream: true }))).status).toBe(502);
  });

  it("may name an encoding for an answer without a body, and not cut one short", async () => {
    const whole = gzipSync('{"deleted":true}');
    bed.upstream.behaviour = ({ headers }, response) => {
      const body = { empty: "", whole, cut: whole.subarray(0, 20) }[String(headers["x-case"])];
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(body);
      return true;
    };
    const ask = (which: string, method: string): Promise<string> =>
      fetch(`${bed.url}/v1/files/file-1`, { method, headers: { "x-case": which } }).then((response) => response.text());
    expect([await ask("empty", "HEAD"), await ask("empty", "DELETE"), await ask("whole", "DELETE")]).toEqual(["", "", '{"deleted":true}']);
    await expect(ask("cut", "DELETE")).rejects.toThrow();
  });

  it("may name a file in any language", async () => {
    const disposition = 'attachment; filename="模型.txt"';
    bed.upstream.behaviour = (_seen, response) => {
      response
        .writeHead(200, ["content-disposition", Buffer.from(disposition).toString("latin1"), "content-length", "2"])
        .end(Buffer.from("hi"));
      return true;
    };
    const told = await read(["GET /v1/files/file-1/content HTTP/1.1"], "");
    expect(told).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(told).toContain(`content-disposition: ${disposition}\r\n`);
    expect(told).toMatch(/\r\n\r\nhi$/);
  });

  it("may name a file in any language and take its time with what is in it", async () => {
    const disposition = 'attachment; filename="模型.txt"';
    for (const encoding of ["utf8", "latin1"] as const) {
      const named = encoding === "utf8" ? disposition : disposition.replace("模型", "größe");
      let finish = (): unknown => undefined;
      bed.upstream.behaviour = (_seen, response) => {
        response.writeHead(200, ["content-disposition", Buffer.from(named, encoding).toString("latin1")]).write(Buffer.from(""));
        finish = () => response.end(Buffer.from("hi"));
        return true;
      };
      const told = await read(["GET /v1/files/file-1/content HTTP/1.1"], "", encoding, () => finish());
      expect(told).toContain(`content-disposition: ${named}\r\n`);
      expect(told).toContain("hi");
    }
  });

  it.each([
    ["/v1/chat/completions", chat("a header that cannot be sent on")],
    ["/v1/audio/speech", { input: "a header that cannot be sent on" }],
  ])("may send headers that cannot be sent on: they are left out, the answer is not (%s)", async (path, body) => {
    const odd = Buffer.from("größe").toString("latin1");
    bed.upstream.behaviour = (seen, response) => {
      response.setHeader("x-request-id", odd).setHeader("x-ratelimit-limit-requests", odd).setHeader("x-ratelimit-remaining-tokens", "5");
      answer({ ...seen, path: "/v1/chat/completions" }, response, 1);
      return true;
    };
    const response = await bed.post(path, body);
    const told = ["x-larder-upstream-request-id", "x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens"];
    expect([response.status, ...told.map((name) => response.headers.get(name))]).toEqual([200, null, null, "5"]);
  });

  it("has its own error told, when it answers embeddings with one as a success", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"error":{"message":"no such model","code":404}}');
      return true;
    };
    const response = await bed.post("/v1/embeddings", { model: "gone", input: "a" });
    expect([response.status, await response.text()]).toEqual([404, expect.stringContaining("no such model")]);
  });
});

/** Writes a request as it is. @returns the answer's first line */
const write = async (head: readonly string[], body: string): Promise<string> => (await read(head, body)).split("\r\n", 1)[0] as string;

/** Writes a request as it is. @returns the answer as it is */
function read(
  [first = "", ...headers]: readonly string[],
  body: string,
  encoding: BufferEncoding = "utf8",
  onHead: () => void = () => {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = [first, "host: 127.0.0.1", ...headers, "connection: close", `content-length: ${Buffer.byteLength(body)}`, "", body];
    const socket = connect(bed.gateway.port, "127.0.0.1", () => socket.write(lines.join("\r\n")));
    const come: Buffer[] = [];
    socket.once("data", onHead).on("data", (data: Buffer) => void come.push(data));
    socket.on("error", reject).on("close", () => resolve(Buffer.concat(come).toString(encoding)));
  });
}

describe("a request", () => {
  const body = JSON.stringify(chat("raw"));

  it("with more headers than are read is refused: what is left out may be what it is about", async () => {
    const filling = (count: number): string[] => Array.from({ length: count }, (_, index) => `x-filling-${index}: 1`);
    const head = "POST /v1/chat/completions HTTP/1.1";
    expect(await write([head, ...filling(97)], body)).toBe("HTTP/1.1 200 OK");
    expect(await write([head, ...filling(98)], body)).toContain(" 431 ");
    expect(await write([head, ...filling(300), "cache-control: no-store"], body)).toContain(" 431 ");
  });

  it("may name the server in its target, as one to a proxy does", async () => {
    expect(await write([`POST ${bed.url}/v1/chat/completions HTTP/1.1`], body)).toBe("HTTP/1.1 200 OK");
    expect(await write([`GET ${bed.url} HTTP/1.1`], "")).toBe("HTTP/1.1 200 OK");
    expect(await write([`GET ${bed.url}/admin/keys HTTP/1.1`], "")).toContain(" 401 ");
  });
});
