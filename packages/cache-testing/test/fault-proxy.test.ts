import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FaultProxy, startFaultProxy } from "../src/fault-proxy.ts";
import { type RedisServer, startRedisServer } from "../src/redis-server.ts";

let server: RedisServer;
let proxy: FaultProxy;
const sockets: Socket[] = [];

beforeEach(async () => {
  server = await startRedisServer();
  proxy = await startFaultProxy(server.port);
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.close();
  await server.stop();
});

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(proxy.port, "127.0.0.1", () => resolve(socket));
    sockets.push(socket);
    socket.once("error", reject);
  });
}

/** What the proxy lets come back within `waitMs`, or up to the end of the connection. */
function exchange(socket: Socket, command: string, waitMs = 150): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const done = (): void => {
      clearTimeout(timer);
      resolve(text);
    };
    const timer = setTimeout(done, waitMs);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.endsWith("\r\n") && text.length >= 7) done();
    });
    socket.on("error", () => {});
    socket.on("close", done);
    socket.write(command);
  });
}

test("passes commands and replies through", async () => {
  expect(await exchange(await open(), "PING\r\n")).toBe("+PONG\r\n");
});

test("a stalled connection answers after it is healed, and nothing is lost", async () => {
  const socket = await open();
  await exchange(socket, "PING\r\n");
  await proxy.set({ kind: "stall" });
  expect(await exchange(socket, "ECHO held\r\n", 60)).toBe("");
  const late = exchange(socket, "", 1000);
  await proxy.heal();
  expect(await late).toBe("$4\r\nheld\r\n");
});

test("a black hole loses the bytes for good", async () => {
  const socket = await open();
  await exchange(socket, "PING\r\n");
  await proxy.set({ kind: "black-hole" });
  expect(await exchange(socket, "ECHO lost\r\n", 60)).toBe("");
  await proxy.heal();
  expect(await exchange(socket, "PING\r\n")).toBe("+PONG\r\n");
});

test("black holes have directions: downwards the server gets the command and its reply is lost", async () => {
  const socket = await open();
  await proxy.set({ kind: "black-hole-down" });
  expect(await exchange(socket, "SET key value\r\n", 60)).toBe("");
  expect(await server.command("GET", "key")).toBe("value");
  await proxy.set({ kind: "black-hole-up" });
  expect(await exchange(socket, "SET key other\r\n", 60)).toBe("");
  expect(await server.command("GET", "key")).toBe("value");
});

test("refusing resets open connections and turns new ones away, on the same port until healed", async () => {
  const socket = await open();
  await exchange(socket, "PING\r\n");
  await proxy.set({ kind: "refuse" });
  await expect(open()).rejects.toThrow(/ECONNREFUSED/);
  await proxy.heal();
  expect(await exchange(await open(), "PING\r\n")).toBe("+PONG\r\n");
});

test("accept-and-hang connects and never answers", async () => {
  await proxy.set({ kind: "accept-and-hang" });
  expect(await exchange(await open(), "PING\r\n", 60)).toBe("");
  await proxy.heal();
  expect(await exchange(await open(), "PING\r\n")).toBe("+PONG\r\n");
});

test("latency is at least what was asked for, and keeps the order", async () => {
  const socket = await open();
  await exchange(socket, "PING\r\n");
  await proxy.set({ kind: "latency", latencyMs: 20 });
  const startedAt = performance.now();
  expect(await exchange(socket, "ECHO one\r\n", 1000)).toBe("$3\r\none\r\n");
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(38);
});

test("a reply is cut where it was asked to be, and the connection ends there", async () => {
  await server.command("SET", "key", "abcdefghij");
  const socket = await open();
  await proxy.set({ kind: "cut", bytes: 9 });
  expect(await exchange(socket, "GET key\r\n")).toBe("$10\r\nabcd");
});

test("replies arrive in pieces, whole in the end", async () => {
  const socket = await open();
  await proxy.set({ kind: "chunk", bytes: 3 });
  const chunks: number[] = [];
  socket.on("data", (chunk) => chunks.push(chunk.length));
  expect(await exchange(socket, "ECHO abcdefgh\r\n", 1000)).toBe("$8\r\nabcdefgh\r\n");
  expect(chunks.length).toBeGreaterThan(1);
});

test("corrupt replies differ in every n-th byte", async () => {
  const socket = await open();
  await proxy.set({ kind: "corrupt", every: 4 });
  expect(await exchange(socket, "PING\r\n", 60)).toBe(`+PO${String.fromCharCode(0xff ^ 0x4e)}G\r\n`);
});

test("keeps the order of bytes, whatever is held back when the fault ends", async () => {
  const socket = await open();
  for (let round = 0; round < 5; round += 1) {
    await proxy.set(round % 2 ? { kind: "latency", latencyMs: 3 } : { kind: "chunk", bytes: 3 });
    const texts = Array.from({ length: 40 }, (_, index) => `${round}-${index}-${"x".repeat(index)}`);
    const expected = texts.map((text) => `$${text.length}\r\n${text}\r\n`).join("");
    let got = "";
    const all = new Promise<void>((resolve) => {
      const take = (chunk: Buffer): void => {
        got += chunk.toString();
        if (got.length < expected.length) return;
        socket.off("data", take);
        resolve();
      };
      socket.on("data", take);
    });
    for (const [index, text] of texts.entries()) {
      socket.write(`ECHO ${text}\r\n`);
      if (index === 20) await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await proxy.heal();
    await all;
    expect(got).toBe(expected);
  }
});
