import { CacheError } from "@larder/cache-core";
import { expect, it } from "vitest";
import { loadRefusal } from "./load-refusal.ts";

it("says that ioredis is to be installed only where it is missing", () => {
  const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
  expect(loadRefusal(missing)).toMatchObject({ message: expect.stringContaining("install it"), cause: missing });
  const refused = Object.assign(new TypeError("no import() here"), { code: "ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING_FLAG" });
  expect(loadRefusal(refused)).toMatchObject({ message: expect.stringMatching(/could not be imported.*pass client/), cause: refused });
});

it("passes an error of ours on as it is", () => {
  const own = new CacheError("ERR_CACHE_INVALID_OPTION", "its own");
  expect(loadRefusal(own)).toBe(own);
});
