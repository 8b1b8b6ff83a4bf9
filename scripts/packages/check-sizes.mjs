import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace-packages.mjs";
import { bundleSize } from "./bundle-size.mjs";

/** The four packages a coherent two-tier cache is made of. */
const CACHE_PACKAGES = ["@larder/cache-core", "@larder/cache-memory", "@larder/cache-redis", "@larder/pubsub-invalidation"];
/**
 * Their main entries together, minified and gzipped, stay within this. The aim was 16 KB; docs/decisions tells what stands in its way. The
 * ceiling goes down when they get smaller, and up only with a page that says why.
 */
export const CACHE_BUDGET_BYTES = 48 * 1024;
const TABLE = /(<!-- sizes -->\n)([\s\S]*?)(\n<!-- \/sizes -->)/;

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

/** Packages that `name` brings along when installed, peers left out: `[ours, others]`, by walking the packed and installed manifests. */
function dependenciesOf(name, packed, installedIn) {
  const seen = new Set();
  const visit = (current) => {
    const manifest =
      packed.get(current)?.manifest ?? JSON.parse(readFileSync(join(installedIn, "node_modules", current, "package.json"), "utf8"));
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (seen.has(dependency)) continue;
      seen.add(dependency);
      visit(dependency);
    }
  };
  visit(name);
  return { ours: [...seen].filter((found) => packed.has(found)), others: [...seen].filter((found) => !packed.has(found)) };
}

/** One row for each package, measured where it was installed. */
export async function measureSizes(units, packed, folderOf) {
  const rows = [];
  for (const { name, isApp } of units) {
    const { ours, others } = dependenciesOf(name, packed, folderOf(name));
    const unpacked = [name, ...ours].flatMap((found) => packed.get(found).files).reduce((sum, { bytes }) => sum + bytes, 0);
    const gzip = isApp
      ? undefined
      : await bundleSize(folderOf(name), [name], [...ours, "ioredis", "vitest", "zod", "libsql", "postgres", "node:sqlite"]);
    rows.push({ name, gzip, unpacked, ours: ours.length, others: others.length });
  }
  return rows;
}

/** The bytes of the four cache packages in one bundle, ioredis left out. `folder` has all four installed. */
export const measureCacheBundle = (folder) => bundleSize(folder, CACHE_PACKAGES, ["ioredis"]);

/** The size table as the README shows it. */
export function sizeTable(rows, cacheBundle) {
  const cells = rows.map(({ name, gzip, unpacked, ours, others }) => [
    `\`${name}\``,
    gzip === undefined ? "an app" : kilobytes(gzip),
    kilobytes(unpacked),
    String(ours),
    String(others),
  ]);
  const header = ["package", "own code, min + gzip", "installed, with siblings", "siblings", "third-party packages"];
  const lines = [header, header.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`);
  return `${lines.join("\n")}\n\nThe four cache packages in one bundle, ioredis left out: ${kilobytes(cacheBundle)} of at most ${kilobytes(CACHE_BUDGET_BYTES)} (min + gzip).`;
}

/** Puts the table between the README's markers, or compares it: words must agree, figures within a tenth. */
export function writeOrCompareTable(table, { isWriting }) {
  const path = join(root, "README.md");
  const readme = readFileSync(path, "utf8");
  const shown = TABLE.exec(readme)?.[2];
  if (shown === undefined) throw new Error("README.md has no <!-- sizes --> markers");
  if (isWriting)
    return writeFileSync(
      path,
      readme.replace(TABLE, (_all, open, _old, close) => open + table + close),
    );
  const figures = (text) => [...text.matchAll(/\d+(?:\.\d+)?/g)].map(Number);
  const [now, then] = [figures(table), figures(shown)];
  const isClose = now.length === then.length && now.every((figure, at) => Math.abs(figure - then[at]) <= 0.1 * Math.max(figure, then[at]));
  if (!isClose) throw new Error(`the README's size table is off by more than a tenth: run the check with --write.\nMeasured:\n${table}`);
  return undefined;
}
