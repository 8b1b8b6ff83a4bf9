import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readOrCreateSecret } from "./secret-file.ts";

/** As Node does it on a full disk: the file is made before the write fails, and the error does not name it. */
const writeOnFullDisk: typeof writeFileSync = (file, _content, options) => {
  writeFileSync(file, "", options);
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
};

describe("a secret kept in a file", () => {
  it("names its file when the disk is full, leaves nothing there, and is made when there is room", () => {
    const folder = mkdtempSync(join(tmpdir(), "larder-secret-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "master-key");
    expect(() => readOrCreateSecret(path, () => "first", writeOnFullDisk)).toThrow(expect.objectContaining({ code: "ENOSPC", path }));
    expect(readdirSync(folder)).toEqual([]);
    expect(readOrCreateSecret(path, () => "second")).toEqual({ secret: "second", isNew: true });
    expect(readOrCreateSecret(path, () => "third")).toEqual({ secret: "second", isNew: false });
  });
});
