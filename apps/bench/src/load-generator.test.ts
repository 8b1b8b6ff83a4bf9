import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { pickLoadGenerator } from "./load-generator.ts";
import { type Peers, PeerUnavailable } from "./peers.ts";
import { ScenarioUnavailable } from "./scenario.ts";

describe("pickLoadGenerator", () => {
  it("says what to install where there is neither wrk nor a network: the scenario cannot run, which is no failure of it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "larder-no-wrk-"));
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true, force: true });
    });
    await symlink("/bin/sh", join(folder, "sh"));
    vi.stubEnv("PATH", folder);
    const offline: Peers = {
      load: (name) => Promise.reject(new PeerUnavailable(name, "could not be installed (offline)", `npm install ${name}`)),
    };
    const picked = pickLoadGenerator(offline);
    await expect(picked).rejects.toThrow(ScenarioUnavailable);
    await expect(picked).rejects.toMatchObject({
      message: "there is no wrk, and autocannon could not be installed (offline)",
      install: "install wrk; else npm install autocannon",
    });
  });
});
