import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The repository's root folder. */
export const root = resolve(import.meta.dirname, "..");

/**
 * Every package that is published: `folder` as written in links ("packages/cache-core"), `path` on disk, its `manifest`, and whether it
 * `isApp` (a command that composes the others). Sorted, so that tables and reports come out the same everywhere.
 */
export function workspacePackages() {
  return ["packages", "apps"].flatMap((parent) =>
    readdirSync(join(root, parent))
      .sort()
      .filter((name) => existsSync(join(root, parent, name, "package.json")))
      .map((name) => {
        const path = join(root, parent, name);
        const manifest = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
        return { folder: `${parent}/${name}`, name: manifest.name, path, manifest, isApp: parent === "apps" };
      })
      .filter(({ manifest }) => !manifest.private),
  );
}

/** Files below a folder that `keep` accepts, as absolute paths, sorted; generated and installed folders are left out. */
export function filesBelow(folder, keep = () => true) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !["node_modules", "dist", ".turbo", ".check", "coverage"].includes(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(path, keep);
      return keep(path) ? [path] : [];
    });
}
