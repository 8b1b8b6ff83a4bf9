import { expect, it } from "vitest";
import { sqlitePath } from "./sql.ts";

it("finds the file that a URL names, escaped as URLs are, and that of a path as it is written", () => {
  const found = ["file:///data/my%20keys.db", "file:///100%/a.db", "file:.larder/a%20b.db", "file:/data/a.db", "file::memory:"];
  expect(found.map((url) => sqlitePath(url, "/home"))).toEqual([
    "/data/my keys.db",
    "/100%/a.db",
    "/home/.larder/a%20b.db",
    "/data/a.db",
    ":memory:",
  ]);
});
