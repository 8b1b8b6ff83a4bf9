import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@larder/cache-testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSettings } from "../src/config/read-settings.ts";
import { startGateway } from "../src/start-gateway.ts";
import { ADMIN_TOKEN, until } from "./support/start.ts";

let directory: string;
let server: Server;
let port: number;
const open = new Set<Socket>();

/** A Redis that says nothing, and knows who is connected. It stands at the gateway's port, too, which is so taken. */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "larder-failed-start-"));
  server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => undefined);
    // Whoever is not read from is not heard leaving.
    socket.resume();
  });
  port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
});
afterEach(async () => {
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

const settingsWith = (more: Parameters<typeof createSettings>[0]): ReturnType<typeof createSettings> =>
  createSettings({ port: 0, adminToken: ADMIN_TOKEN, logLevel: "silent", redisUrl: `redis://127.0.0.1:${port}`, ...more });

describe("a start that fails", () => {
  it("lets go of its connections when its port is taken", async () => {
    const settings = settingsWith({ port, coherenceSampleRate: 1 });
    await expect(startGateway(settings, { directory })).rejects.toThrow("EADDRINUSE");
    // Whoever has connected before the probe is there when it is.
    const probe = connect(port, "127.0.0.1");
    await once(probe, "connect");
    await until(() => open.size > 0 && [...open].every((socket) => socket.remotePort === probe.localPort));
    probe.destroy();
  });

  it("closes the shared tier that it was given", async () => {
    let isClosed = false;
    const close = async (): Promise<void> => {
      isClosed = true;
    };
    const shared = { l2: undefined, bus: undefined, counter: undefined, isUp: () => undefined, close };
    await expect(startGateway(settingsWith({ masterKey: "too short" }), { directory, shared })).rejects.toThrow("LARDER_MASTER_KEY");
    expect(isClosed).toBe(true);
  });

  it("can be tried again in the same process, with the same folder", async () => {
    const blocked = await freePort();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(blocked, "127.0.0.1", resolve));
    const settings = settingsWith({ port: blocked });
    await expect(startGateway(settings, { directory })).rejects.toThrow("EADDRINUSE");
    await new Promise((resolve) => blocker.close(resolve));
    const gateway = await startGateway(settings, { directory });
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    await gateway.close();
  });
});
