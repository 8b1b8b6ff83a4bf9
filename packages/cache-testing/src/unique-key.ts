import { randomBytes } from "node:crypto";

let made = 0;

/**
 * A name that no other test uses, in this process or any other: tests that share one Redis each live under their own and run in
 * parallel. Letters, digits, `-` only, so that it may stand in a key prefix, a namespace or a glob as it is.
 * @param label what it is for, so that a key left behind tells where it came from
 */
export function uniquePrefix(label = "test"): string {
  made += 1;
  return `${label.replace(/[^A-Za-z0-9-]+/g, "-")}-${process.pid.toString(36)}-${made}-${randomBytes(4).toString("hex")}`;
}
