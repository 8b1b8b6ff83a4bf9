import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** A file of the dashboard. */
export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";
/** Paths and the files behind them. Nothing else is ever read from disk for a request. */
const FILES: ReadonlyMap<string, readonly [file: string, type: string]> = new Map([
  ["/", ["index.html", HTML]],
  ["/dashboard.js", ["dashboard.js", SCRIPT]],
  ["/dashboard.css", ["dashboard.css", STYLE]],
  ["/icon.svg", ["icon.svg", "image/svg+xml"]],
  ["/uplot.js", ["uplot/dist/uPlot.iife.min.js", SCRIPT]],
  ["/uplot.css", ["uplot/dist/uPlot.min.css", STYLE]],
]);

const loaded = new Map<string, Promise<Asset>>();
const resolver = createRequire(import.meta.url);

/** The file behind a path, read once; `undefined` when there is none. */
export function findAsset(path: string): Promise<Asset> | undefined {
  const known = FILES.get(path);
  if (!known) return undefined;
  const asset = loaded.get(path) ?? readAsset(known[0], known[1]);
  loaded.set(path, asset);
  // What could not be read for a moment is read again.
  asset.catch(() => loaded.delete(path));
  return asset;
}

async function readAsset(file: string, type: string): Promise<Asset> {
  if (file.startsWith("uplot/")) return { type, bytes: await readFile(resolver.resolve(file)) };
  // Beside the built file stands a copy; sources have it one level up.
  const built = fileURLToPath(new URL(`./dashboard/${file}`, import.meta.url));
  const source = fileURLToPath(new URL(`../public/dashboard/${file}`, import.meta.url));
  return { type, bytes: await readFile(built).catch(() => readFile(source)) };
}
