import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const disk = vi.hoisted(() => ({ isFull: false }));
vi.mock("node:fs", async (load) => {
  const real = await load<typeof import("node:fs")>();
  return {
    ...real,
    writeFileSync: (...call: Parameters<typeof real.writeFileSync>): void => {
      // As Node does it: the file is made before the write fails, and the error does not name it.
      real.writeFileSync(call[0], disk.isFull ? "" : call[1], call[2]);
      if (disk.isFull) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
    },
  };
});
const { readOrCreateSecret } = await import("./secret-file.ts");

describe("a secret kept in a file", () => {
  it("names its file when the disk is full, leaves nothing there, and is made when there is room", () => {
    const folder = mkdtempSync(join(tmpdir(), "larder-secret-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "master-key");
    disk.isFull = true;
    expect(() => readOrCreateSecret(path, () => "first")).toThrow(expect.objectContaining({ code: "ENOSPC", path }));
    expect(readdirSync(folder)).toEqual([]);
    disk.isFull = false;
    expect(readOrCreateSecret(path, () => "second")).toEqual({ secret: "second", isNew: true });
    expect(readOrCreateSecret(path, () => "third")).toEqual({ secret: "second", isNew: false });
  });
});
