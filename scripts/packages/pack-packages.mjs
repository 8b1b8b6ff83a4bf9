import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../run-command.mjs";
import { root } from "../workspace-packages.mjs";

/**
 * Packs every public package into `directory`, exactly as `pnpm publish` would.
 * @returns per package name: the `tarball`, the `manifest` inside it, and its `files` with their `bytes`, without the leading "package/"
 */
export async function packPackages(directory) {
  const filters = ["--filter", "./packages/*", "--filter", "./apps/*"];
  await runCommand("npx", ["--yes", "pnpm@10.34.9", "-r", ...filters, "pack", "--pack-destination", directory], { cwd: root });
  const packed = new Map();
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".tgz"))) {
    const tarball = join(directory, file);
    const unpacked = join(directory, file.replace(/\.tgz$/, ""));
    await runCommand("sh", ["-c", 'mkdir "$1" && tar xzf "$2" -C "$1" --strip-components 1', "sh", unpacked, tarball]);
    const manifest = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8"));
    const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: path.slice(unpacked.length + 1), absolute: path, bytes: statSync(path).size }));
    packed.set(manifest.name, { tarball, manifest, files, bytes: statSync(tarball).size });
  }
  return packed;
}
