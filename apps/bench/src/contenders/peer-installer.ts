import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { type LoadedPeer, type Peers, PeerUnavailable } from "../peers.ts";
import { type PeerPackage, peerPackages } from "./peer-packages.ts";

// Peers are heavy, and some are old: none of them belongs into the workspace's dependencies. Each is installed on first use into a
// folder of its own, so that no two disagree about a shared dependency, made under another name and renamed when it is complete:
// an interrupted install leaves nothing that looks like a peer.

const INSTALL_TIMEOUT_MS = 180_000;

/** Lets us import from inside the peer's folder, with that folder's resolution and the conditions of `import`. */
const LOADER = "export const load = (specifier) => import(specifier);\n";

/** How peers are installed. */
export interface PeerInstallerOptions {
  /** Where. @default LARDER_BENCH_PEERS, else larder-bench in the user's cache folder */
  readonly folder?: string;
  /** Aborted on Ctrl-C: the install is ended and its half-made folder removed. */
  readonly signal: AbortSignal;
  /** Told before an install, which takes seconds. @default nobody */
  readonly onInstall?: (name: string, version: string) => void;
}

/** The user's cache folder, as the platforms have it. */
export function defaultPeersFolder(): string {
  const { LARDER_BENCH_PEERS, XDG_CACHE_HOME } = process.env;
  return LARDER_BENCH_PEERS || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "larder-bench");
}

/** Creates the loader of peers. Concurrent loads of one peer share one install. */
export function createPeers(options: PeerInstallerOptions): Peers {
  const folder = options.folder ?? defaultPeersFolder();
  const loading = new Map<string, Promise<LoadedPeer>>();
  return {
    load(name) {
      const known = loading.get(name);
      if (known) return known;
      const load = loadPeer(name, folder, options);
      loading.set(name, load);
      return load;
    },
  };
}

async function loadPeer(name: string, folder: string, options: PeerInstallerOptions): Promise<LoadedPeer> {
  const wanted = peerPackages[name];
  if (!wanted) throw new PeerUnavailable(name, `no peer is called ${name}`, "add it to contenders/peer-packages.ts");
  const place = join(folder, `${wanted.package.replaceAll("/", "__")}@${wanted.version}`);
  if (!(await isInstalled(place, wanted))) {
    options.onInstall?.(name, wanted.version);
    await install(name, wanted, folder, place, options.signal);
  }
  const { load } = (await import(pathToFileURL(join(place, "load.mjs")).href)) as { load: LoadedPeer["import"] };
  return {
    version: await installedVersion(place, wanted),
    folder: join(place, "node_modules", wanted.package),
    import: async (specifier) => {
      try {
        return await load(specifier === name ? wanted.package : specifier);
      } catch (error) {
        throw new PeerUnavailable(
          name,
          `cannot be imported: ${firstLine(error)}`,
          `rm -r ${wanted.package}'s folder in the peers folder and run again`,
        );
      }
    },
  };
}

/** What npm is asked for. It stays in the peer's folder. */
function manifestOf({ package: name, version, beside, overrides }: PeerPackage): string {
  return JSON.stringify({ private: true, dependencies: { [name]: version, ...beside }, ...(overrides ? { overrides } : {}) });
}

/**
 * Whether the folder holds what is asked for now. Its name tells the peer's version alone: what stands beside it changes with the bench. Some clean cache
 * folders file by file.
 */
async function isInstalled(place: string, wanted: PeerPackage): Promise<boolean> {
  if (![join(place, "load.mjs"), manifestPath(place, wanted)].every(existsSync)) return false;
  const manifest = await readFile(join(place, "package.json"), "utf8").catch(() => "");
  try {
    // By what it says: some npm may write it in a form of its own.
    return isDeepStrictEqual(JSON.parse(manifest), JSON.parse(manifestOf(wanted)));
  } catch {
    return false;
  }
}

const manifestPath = (place: string, wanted: PeerPackage): string => join(place, "node_modules", wanted.package, "package.json");

async function installedVersion(place: string, wanted: PeerPackage): Promise<string> {
  const manifest = JSON.parse(await readFile(manifestPath(place, wanted), "utf8")) as { version: string };
  return manifest.version;
}

async function install(name: string, wanted: PeerPackage, folder: string, place: string, signal: AbortSignal): Promise<void> {
  const hint = `npm must reach a registry once: npm install ${wanted.package}@${wanted.version}`;
  let making: string;
  try {
    await mkdir(folder, { recursive: true });
    making = await mkdtemp(join(folder, ".making-"));
  } catch {
    throw new PeerUnavailable(name, "the folder for peers cannot be written", "set LARDER_BENCH_PEERS to a folder that can");
  }
  try {
    await writeFile(join(making, "package.json"), manifestOf(wanted));
    const trouble = await runNpm(making, signal);
    if (trouble) throw new PeerUnavailable(name, `could not be installed (${trouble})`, hint);
    await writeFile(join(making, "load.mjs"), LOADER);
    await rm(place, { recursive: true, force: true });
    await rename(making, place);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

/** Runs `npm install`. @returns npm's error code when it failed: never its text, which names registries and paths */
async function runNpm(folder: string, signal: AbortSignal): Promise<string | undefined> {
  const args = [
    "install",
    "--prefix",
    folder,
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--omit=dev",
    "--legacy-peer-deps",
    "--loglevel=error",
  ];
  const npm = spawn("npm", args, {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    signal,
    timeout: INSTALL_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let text = "";
  npm.stderr.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-20_000);
  });
  try {
    const [code] = (await once(npm, "close")) as [number | null];
    if (code === 0) return undefined;
    return /npm (?:error|ERR!) code (\S+)/.exec(text)?.[1] ?? `npm ended with ${code ?? "a signal"}`;
  } catch (error) {
    signal.throwIfAborted();
    return (error as NodeJS.ErrnoException).code ?? "npm cannot be run";
  }
}

function firstLine(error: unknown): string {
  // Node's messages about modules quote whole paths; the code says as much.
  const code = (error as NodeJS.ErrnoException).code;
  return code ?? (error instanceof Error ? error.name : "unknown");
}
