#!/usr/bin/env node
// Each package as its user gets it: packed, linted, installed alone into an empty folder from a registry that serves the packed bytes,
// imported, required, compiled against, its README's example and its examples/ run unchanged, and weighed.
//
//   node scripts/with-redis.mjs node scripts/check-packages.mjs [--nodes 20,22,24,26] [--only cache-memory,cache-redis] [--write]
//
// The packages must be built. `--nodes` runs the installed packages on those Node releases too; `--write` puts the measured sizes into
// the README's table, which must otherwise be right within a tenth.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { obtainNode } from "./obtain-node.mjs";
import { exampleChecks } from "./packages/check-examples.mjs";
import { installedChecks, togetherChecks } from "./packages/check-installed.mjs";
import { checkContents, checkWithAttw, checkWithPublint } from "./packages/check-packed.mjs";
import { CACHE_BUDGET_BYTES, measureCacheBundle, measureSizes, sizeTable, writeOrCompareTable } from "./packages/check-sizes.mjs";
import { createConsumer } from "./packages/consumer-project.mjs";
import { packPackages } from "./packages/pack-packages.mjs";
import { startScopeRegistry } from "./packages/scope-registry.mjs";
import { Tally } from "./tally.mjs";
import { workspacePackages } from "./workspace-packages.mjs";

const { values: flags } = parseArgs({ options: { nodes: { type: "string" }, only: { type: "string" }, write: { type: "boolean" } } });
const only = flags.only?.split(",");
const majors = flags.nodes?.split(",") ?? [process.versions.node.split(".")[0]];
const units = workspacePackages().filter(({ folder }) => !only || only.includes(basename(folder)));
/** A package that was only begun has nothing to load; the day its index names something, it is held to all of it. */
const isBegun = ({ path }) => /^export \{?./m.test(readFileSync(join(path, "src/index.ts"), "utf8").replace("export {};", ""));

const folder = mkdtempSync(join(tmpdir(), "larder-packages-"));
const tally = new Tally();
console.log(`check-packages: ${units.length} packages on Node ${majors.join(", ")}`);
try {
  await checkAll();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
tally.close();

async function checkAll() {
  const packed = await tally.check("every package packs", () => packPackages(folder));
  if (!packed) return;
  const nodes =
    (await tally.check(`Node ${majors.join(", ")} can be had`, () =>
      Promise.all(majors.map(async (major) => ({ major, program: await obtainNode(major) }))),
    )) ?? [];
  const registry = await startScopeRegistry(packed);
  const folderOf = (name) => join(folder, "installed", basename(name));
  try {
    // Two at a time: npm waits for the disk as much as for the processor.
    const queue = [...units];
    const work = async () => {
      for (let unit = queue.shift(); unit; unit = queue.shift())
        await checkOne(unit, packed.get(unit.name), (name) => createConsumer(folderOf(name), registry.url), nodes);
    };
    await Promise.all([work(), work()]);
    const begun = units.filter(isBegun).map(({ name }) => packed.get(name));
    for (const [title, run] of togetherChecks(begun, createConsumer(folderOf("all"), registry.url))) await tally.check(title, run);
    if (!only) await checkAllSizes(packed, folderOf, registry.url);
  } finally {
    registry.close();
  }
}

async function checkOne(unit, pack, createConsumerIn, nodes) {
  await tally.check(`${unit.name} packs only what its users need`, () => checkContents(pack, unit));
  await tally.check(`${unit.name} pleases publint`, () => checkWithPublint(pack));
  if (!isBegun(unit)) return tally.skip(unit.name, "its index names nothing yet");
  await tally.check(`${unit.name} pleases attw without a profile`, () => checkWithAttw(pack));
  const checks = [...installedChecks(pack, unit, createConsumerIn(unit.name), nodes), ...exampleChecks(unit, createConsumerIn, nodes)];
  for (const [title, run] of checks) await tally.check(title, run);
  return undefined;
}

async function checkAllSizes(packed, folderOf, registryUrl) {
  const begun = units.filter(isBegun);
  const rows = await tally.check("every package can be weighed", () => measureSizes(begun, packed, folderOf));
  const together = createConsumer(join(folder, "installed", "together"), registryUrl);
  const bundle = await tally.check(`the four cache packages stay within ${CACHE_BUDGET_BYTES} bytes`, async () => {
    await together.install(["@larder/cache-memory", "@larder/cache-redis", "@larder/pubsub-invalidation"], ["--legacy-peer-deps"]);
    const bytes = await measureCacheBundle(together.folder);
    if (bytes > CACHE_BUDGET_BYTES) throw new Error(`${bytes} bytes`);
    return bytes;
  });
  await tally.check("the cache packages bring no third-party package", () => {
    const heavy = (rows ?? []).filter(({ name, others }) => others > 0 && /cache-|pubsub/.test(name));
    if (heavy.length > 0) throw new Error(heavy.map(({ name, others }) => `${name}: ${others}`).join(", "));
  });
  if (!rows || bundle === undefined) return;
  const table = sizeTable(rows, bundle);
  console.log(`\n${table}\n`);
  if (begun.length === units.length)
    await tally.check("the README's size table is what was measured", () => writeOrCompareTable(table, { isWriting: flags.write }));
}
