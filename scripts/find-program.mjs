import { spawnSync } from "node:child_process";

/** The path of a program, as the shell finds it; "" where there is none. */
export function pathOf(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout?.trim() ?? "";
}

/** Installs a Debian package, where we may. `find` then says where its program is; `undefined` where we may not, or it failed. */
export function installWithApt(launcher, debianPackage, find) {
  if (process.getuid?.() !== 0 || !pathOf("apt-get")) return undefined;
  console.error(`${launcher}: nothing found here, installing ${debianPackage} with apt`);
  const quiet = { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  // Without what it recommends: the program is all that is wanted of it.
  const install = () => spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", debianPackage], quiet).status === 0;
  if (!install()) {
    spawnSync("apt-get", ["update", "-q"], quiet);
    install();
  }
  return find();
}
