import { expect, it } from "vitest";
import { isAmbiguous } from "./open-paths.ts";

it.each([
  "/v1/files/..%2f..%2fadmin",
  "/v1/files/%2e%2e/%2e%2e/admin",
  "/v1/files/..%5c..%5cadmin",
  "/v1/files/..%252f..%252fadmin",
  "/v1/files/%252e%252e%252fadmin",
  "/v1/files/../admin",
  "/v1/files/..;/admin",
  "/v1/files/.",
  "/v1//files",
  "/v1/files%2f%2fadmin",
  "/v1/files\\admin",
  "/v1/files/é",
  "/v1/files/file-1#/content",
  "/v1/files/file-1%00/content",
  "/v1/files/file-1%250a/content",
  "/v1/files/file-1%7F/content",
])("takes a path for ambiguous that another program may resolve differently: %s", (path) => {
  expect(isAmbiguous(path)).toBe(true);
});

it.each(["/v1/files/file-1.2/content", "/v1/models/ft%3Agpt%2Fx", "/v1/files/..a", "/v1/files/a..%2fb", "/v1/files/a%20b%23c%70"])(
  "leaves alone %s",
  (path) => {
    expect(isAmbiguous(path)).toBe(false);
  },
);
