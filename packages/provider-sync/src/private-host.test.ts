import { expect, it } from "vitest";
import { isPrivateHost } from "./private-host.ts";

it.each([
  "127.0.0.1",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[64:ff9b::7f00:1]",
  "localhost",
  "app.localhost",
  "0.0.0.0",
  "[::]",
  "100.64.0.1",
  "255.255.255.255",
])("%s is private", async (host) => expect(await isPrivateHost(new URL(`http://${host}/`), false)).toBe(true));

it.each(["8.8.8.8", "172.32.0.1", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "localhost.example", "models.dev"])("%s is not", async (host) =>
  expect(await isPrivateHost(new URL(`http://${host}/`), false)).toBe(false),
);
