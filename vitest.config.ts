import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vitest/config";
import { BusiestProjectsFirst } from "./scripts/busiest-projects-first.ts";

// Tests run the sources, not the builds: the "@larder/source" condition of every package's exports points there.
// Without "module", which is a bundler's word: what stands behind it need not load in Node, to which vitest hands these conditions on.
const conditions = ["@larder/source", "node", "development|production"];

const project = (folder: string) => ({
  extends: true as const,
  test: {
    name: `@larder/${folder.split("/")[1]}`,
    root: `${import.meta.dirname}/${folder}`,
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
  },
});

const folders = ["packages", "apps"].flatMap((parent) =>
  readdirSync(`${import.meta.dirname}/${parent}`).map((name) => `${parent}/${name}`),
);

/** What is kept of a module names the files that its imports lead to, and that is for the manifests to say: others, another module. */
const keptByManifests: Plugin = {
  name: "larder:kept-by-manifests",
  configureVitest: ({ experimental_defineCacheKeyGenerator: defineKey }) => {
    const manifests = folders.map((folder) => readFileSync(`${import.meta.dirname}/${folder}/package.json`, "utf8"));
    const digest = createHash("sha1").update(manifests.join("\n")).digest("hex");
    defineKey(() => digest);
  },
};

export default defineConfig({
  plugins: [keptByManifests],
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: folders.map(project),
    reporters: ["default", `${import.meta.dirname}/scripts/closing-line.ts`],
    // Most tests wait for a server rather than compute: twice the cores keeps both busy.
    maxWorkers: 4,
    // Files of one package share a worker's modules, and so pay for their imports once: measured, a quarter of the whole run. What a test
    // changes in a module, in `process` or in the environment it sets back; servers and Redis keys are its own anyway.
    isolate: false,
    sequence: { sequencer: BusiestProjectsFirst },
    // Sources are stripped of their types once, not at each run (in node_modules/.experimental-vitest-cache, by content).
    experimental: { fsModuleCache: true },
    // In CI alone: real clusters, failovers and browsers on a shared machine now and then lose a race with their own start-up.
    retry: process.env.CI ? 2 : 0,
    // Both find what hangs and measure nothing: at a load of twenty, a test of two seconds takes half a minute.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
  },
});
