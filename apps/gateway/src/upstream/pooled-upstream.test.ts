import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Cancellation } from "@larder/cache-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AddressGuard } from "../security/address-guard.ts";
import { PooledUpstream } from "./pooled-upstream.ts";
import type { UpstreamAnswer, UpstreamCall } from "./upstream.ts";
import { toUpstreamFailure } from "./upstream-failure.ts";
import type { WaitingRoomOptions } from "./waiting-room.ts";

/** More than any buffer on the way holds. */
const LARGE = 16 * 1024 * 1024;

describe("a call to a provider", () => {
  let answerWith: (request: IncomingMessage, response: ServerResponse) => void;
  let connections = 0;
  const server = createServer((request, response) => answerWith(request, response));
  server.on("connection", () => {
    connections += 1;
  });
  let upstream: PooledUpstream;
  let call: UpstreamCall;
  beforeEach(async () => {
    if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
    upstream = new PooledUpstream({ connections: 1 });
    connections = 0;
    const { port } = server.address() as AddressInfo;
    call = {
      method: "POST",
      url: `http://127.0.0.1:${port}/v1/x?y=1`,
      headers: { "x-one": "1" },
      body: Buffer.from("{}"),
      timeoutMs: 5_000,
    };
  });
  afterEach(async () => {
    await upstream.close();
    server.closeAllConnections();
  });

  it("gives status, headers and the whole body, informational answers left out", async () => {
    answerWith = (request, response) => {
      response.writeProcessing();
      response.writeHead(201, { "x-two": request.headers["x-one"] });
      response.write("a".repeat(70_000));
      setImmediate(() => response.end(request.url));
    };
    const answer = await upstream.call(call);
    expect([answer.status, answer.headers["x-two"]]).toEqual([201, "1"]);
    const body = (await answer.bytes(1_000_000)).toString();
    expect([body.length, body.slice(-9)]).toEqual([70_009, "/v1/x?y=1"]);
    expect((await (await upstream.call(call)).bytes(1_000_000)).length).toBe(70_009);
    expect(connections).toBe(1);
  });

  it.each([true, false])("takes in no more than it was told: length announced %s", async (isAnnounced) => {
    answerWith = (_, response) => {
      response.writeHead(200, isAnnounced ? { "content-length": 5_000 } : {});
      response.end(Buffer.alloc(5_000));
    };
    await expect((await upstream.call(call)).bytes(4_999)).rejects.toThrow(RangeError);
    expect((await (await upstream.call(call)).bytes(5_000)).length).toBe(5_000);
  });

  it("holds the provider up while nobody reads, and gives all of it to whoever does", async () => {
    let sent = 0;
    answerWith = (_, response) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (sent < LARGE) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    };
    const answer = await upstream.call(call);
    const reader = answer.body[Symbol.asyncIterator]();
    let length = (await reader.next()).value.length;
    for (let before = -1; before !== sent; await new Promise((resolve) => setTimeout(resolve, 50))) before = sent;
    expect(sent).toBeLessThan(LARGE);
    for (let next = await reader.next(); !next.done; next = await reader.next()) length += next.value.length;
    expect(length).toBe(LARGE);
  });

  it("breaks off for a reader that stops early, and the next call is answered", async () => {
    let hasClosed: Promise<unknown> | undefined;
    answerWith = (_, response) => {
      hasClosed ??= once(response, "close");
      response.write("first");
      if (connections > 1) response.end();
    };
    for await (const chunk of (await upstream.call(call)).body) {
      expect(chunk.toString()).toBe("first");
      break;
    }
    await hasClosed;
    expect((await (await upstream.call(call)).bytes(10)).toString()).toBe("first");
  });

  it("reads a short unwanted body away and keeps the connection", async () => {
    answerWith = (_, response) => response.end(Buffer.alloc(10_000));
    (await upstream.call(call)).discard();
    await (await upstream.call(call)).bytes(10_000);
    expect(connections).toBe(1);
  });

  it("ends with the signal's reason: before the call, before the head, within the body", async () => {
    const reason = new Error("enough");
    const gone = new Cancellation();
    gone.abort(reason);
    await expect(upstream.call({ ...call, signal: gone })).rejects.toBe(reason);

    const waiting = new Cancellation();
    answerWith = () => waiting.abort(reason);
    await expect(upstream.call({ ...call, signal: waiting })).rejects.toBe(reason);

    const reading = new Cancellation();
    answerWith = (_, response) => void response.write("begun");
    const answer = await upstream.call({ ...call, signal: reading });
    const body = answer.bytes(100);
    reading.abort(reason);
    await expect(body).rejects.toBe(reason);
  });

  it("fails when the provider breaks off, whole or streamed", async () => {
    answerWith = (_, response) => {
      response.write("begun");
      setImmediate(() => response.destroy());
    };
    await expect((await upstream.call(call)).bytes(100)).rejects.toThrow();
    const answer = await upstream.call(call);
    const read = async (): Promise<void> => {
      for await (const _ of answer.body);
    };
    await expect(read()).rejects.toThrow();
  });

  it.each(["127.0.0.1", "localhost", "[::1]"])(
    "never reaches a private address that is not allowed, and is not tried again: %s",
    async (host) => {
      const guarded = new PooledUpstream({ connections: 1, guard: new AddressGuard([]) });
      answerWith = (_, response) => response.end("told");
      const refused = toUpstreamFailure(
        await guarded.call({ ...call, url: call.url.replace("127.0.0.1", host) }).catch((error: unknown) => error),
      );
      expect(refused).toMatchObject({ status: 502, isRetryable: false, message: expect.stringContaining("private or reserved") });
      expect(connections).toBe(0);
      await guarded.close();
      const allowing = new PooledUpstream({ connections: 1, guard: new AddressGuard([new URL(call.url).host]) });
      expect((await (await allowing.call(call)).bytes(10)).toString()).toBe("told");
      await allowing.close();
    },
  );

  describe("that finds all connections in use", () => {
    let hold: ServerResponse[];
    let asked: number;
    let crowded: PooledUpstream;
    const crowd = async (waiting: WaitingRoomOptions): Promise<UpstreamAnswer> => {
      hold = [];
      asked = 0;
      answerWith = (_, response) => {
        asked += 1;
        response.writeHead(200).write("begun");
        hold.push(response);
      };
      crowded = new PooledUpstream({ connections: 1, waiting });
      return crowded.call(call);
    };
    afterEach(() => crowded.close());

    it("is given up when it has waited for long enough, and never sent; another provider may have room", async () => {
      await crowd({ tickMs: 5, patience: 3 });
      const failure = toUpstreamFailure(await crowded.call(call).catch((error: unknown) => error));
      expect(failure).toMatchObject({ status: 503, isRetryable: true, isProviderFault: false, headers: { "retry-after": "10" } });
      answerWith = (_, response) => {
        asked += 1;
        response.end("next");
      };
      hold[0]?.end();
      expect((await (await crowded.call(call)).bytes(100)).toString()).toBe("next");
      expect(asked).toBe(2);
    });

    it("is made as soon as one is free", async () => {
      await crowd({});
      const waiting = crowded.call(call);
      hold[0]?.end();
      expect((await waiting).status).toBe(200);
      expect(asked).toBe(2);
    });

    it("is refused at once when too many wait already, those included that nobody waits for any more", async () => {
      await crowd({ maxWaiting: 2 });
      for (let waiting = 0; waiting < 2; waiting += 1) {
        const leaving = new AbortController();
        const left = crowded.call({ ...call, signal: leaving.signal });
        leaving.abort(new Error("left"));
        await expect(left).rejects.toThrow("left");
      }
      await expect(crowded.call(call)).rejects.toThrow("all connections to the provider are in use");
      answerWith = (_, response) => void response.end("next");
      hold[0]?.end();
      // Those who have left are passed over, and make room.
      await vi.waitFor(async () => expect((await (await crowded.call(call)).bytes(100)).toString()).toBe("next"), { timeout: 15_000 });
      expect(asked).toBe(1);
    });

    it("takes no room from calls of another provider, whose connections are free", async () => {
      await crowd({ tickMs: 5, patience: 3, maxWaiting: 2 });
      const waiting = [crowded.call(call), crowded.call(call)];
      for (const one of waiting) await expect(one).rejects.toThrow("all connections to the provider are in use");
      const other = createServer((_, response) => response.end("other")).listen(0, "127.0.0.1");
      await once(other, "listening");
      const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}/v1/x`;
      expect((await (await crowded.call({ ...call, url })).bytes(100)).toString()).toBe("other");
      other.close();
      other.closeAllConnections();
    });
  });
});
