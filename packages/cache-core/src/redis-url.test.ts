import { describe, expect, it } from "vitest";
import { parseRedisUrl } from "./redis-url.ts";

const plain = { isTls: false, username: "", password: "", master: undefined, database: 0 };

describe("parseRedisUrl", () => {
  it("reads one server: host, port, database and credentials, decoded", () => {
    expect(parseRedisUrl("redis://host")).toEqual({ ...plain, kind: "single", addresses: [{ host: "host", port: 6_379 }] });
    expect(parseRedisUrl("rediss://us%40er:p%3Ass@[::1]:1/3")).toEqual({
      kind: "single",
      addresses: [{ host: "::1", port: 1 }],
      isTls: true,
      username: "us@er",
      password: "p:ss",
      master: undefined,
      database: 3,
    });
    expect(parseRedisUrl("redis://only-password@host/")).toMatchObject({ username: "", password: "only-password", database: 0 });
  });

  it("reads a list as a cluster, and sentinels with their master's name", () => {
    const addresses = [
      { host: "a", port: 6_379 },
      { host: "b", port: 1 },
    ];
    expect(parseRedisUrl("redis://a,b:1/0")).toEqual({ ...plain, kind: "cluster", addresses });
    expect(parseRedisUrl("redis+sentinel://a:1,b/main/2")).toMatchObject({
      kind: "sentinel",
      addresses: [
        { host: "a", port: 1 },
        { host: "b", port: 26_379 },
      ],
      master: "main",
      database: 2,
    });
  });

  it.each([
    "",
    "http://host",
    "host:1",
    "redis://",
    "redis://host:0",
    "redis://host:99999",
    "redis://host?db=1",
    "redis://host/db",
    "redis://a,b/3",
    "redis+sentinel://host",
    "redis://user:CANARY%zz@host",
    "redis://user:CANARY@ho st",
    undefined as unknown as string,
    1 as unknown as string,
  ])("refuses %j, tells what it expected and quotes nothing", (url) => {
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: "ERR_CACHE_INVALID_OPTION" }));
    expect(() => parseRedisUrl(url)).toThrow(/^\[ERR_CACHE_INVALID_OPTION\] url (?!.*CANARY).*expected redis:/);
  });
});
