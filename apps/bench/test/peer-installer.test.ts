import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createPeers } from "../src/contenders/peer-installer.ts";
import { peerPackages } from "../src/contenders/peer-packages.ts";

const NAME = "bentocache";
const { version, beside } = peerPackages[NAME]!;
const asked = { private: true, dependencies: { [NAME]: version, ...beside } };

/** An npm that is at hand: it puts the package of that name and version where it is called. */
const NPM = `#!/bin/sh
mkdir -p node_modules/${NAME} && echo '{"version":"${version}"}' > node_modules/${NAME}/package.json
`;

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "larder-peers-"));
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "bin/npm"), NPM);
  await chmod(join(folder, "bin/npm"), 0o755);
  vi.stubEnv("PATH", `${join(folder, "bin")}${delimiter}${process.env.PATH}`);
  return folder;
}

/** A peer as a former run has left it. */
async function leave(folder: string, manifest: unknown, installed: string | undefined): Promise<void> {
  const place = join(folder, `${NAME}@${version}`);
  await mkdir(join(place, "node_modules", NAME), { recursive: true });
  await writeFile(join(place, "package.json"), JSON.stringify(manifest));
  await writeFile(join(place, "load.mjs"), "export const load = (specifier) => import(specifier);\n");
  if (installed !== undefined) await writeFile(join(place, "node_modules", NAME, "package.json"), JSON.stringify({ version: installed }));
}

/** The version that is found, and how many installs it took. */
async function load(folder: string): Promise<{ readonly found: string; readonly installs: number }> {
  let installs = 0;
  const onInstall = (): void => {
    installs += 1;
  };
  const peers = createPeers({ folder, signal: new AbortController().signal, onInstall });
  return { found: (await peers.load(NAME)).version, installs };
}

describe("a peer that a former run has installed", () => {
  it("is taken as it is where it is what is asked for", async () => {
    const folder = await createFolder();
    await leave(folder, { ...asked, dependencies: Object.fromEntries(Object.entries(asked.dependencies).reverse()) }, version);
    expect(await load(folder)).toEqual({ found: version, installs: 0 });
  });

  it("is installed anew where other versions were asked for beside it then: figures would name what was not measured", async () => {
    const folder = await createFolder();
    await leave(folder, { ...asked, dependencies: { ...asked.dependencies, ioredis: "5.0.0" } }, version);
    expect(await load(folder)).toEqual({ found: version, installs: 1 });
    expect(await load(folder)).toEqual({ found: version, installs: 0 });
  });

  it("is installed anew where something has removed a part of it, as those do who clean cache folders", async () => {
    const folder = await createFolder();
    await leave(folder, asked, undefined);
    expect(await load(folder)).toEqual({ found: version, installs: 1 });
  });
});
