import { describe, expect, it } from "vitest";
import { isTrustEntry, ProxyTrust } from "./proxy-trust.ts";

const came = (peerAddress: string, headers: Record<string, string> = {}) => ({ peerAddress, header: (name: string) => headers[name] });
const trust = new ProxyTrust(["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"]);

describe("ProxyTrust", () => {
  it("believes nobody by default, and nobody who is not trusted", () => {
    const headers = {
      host: "a",
      "x-forwarded-for": "1.1.1.1",
      "x-forwarded-host": "b",
      "x-forwarded-proto": "https",
      forwarded: "for=1.1.1.1",
    };
    const own = { address: "10.0.0.1", host: "a", protocol: "http", isForwarded: false };
    expect(new ProxyTrust([]).clientOf(came("10.0.0.1", headers))).toEqual(own);
    expect(trust.clientOf(came("11.0.0.1", headers))).toEqual({ ...own, address: "11.0.0.1" });
    expect(trust.clientOf(came("::ffff:11.0.0.1", headers)).address).toBe("11.0.0.1");
  });

  it.each([
    ["one proxy", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["one proxy, seen through IPv6", "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["what the client claims left of itself", "10.0.0.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"],
    ["a chain of trusted proxies", "127.0.0.1", "203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9"],
    ["a claim in front of a chain", "127.0.0.1", "10.9.9.9, 203.0.113.9, 10.2.2.2", "203.0.113.9"],
    ["trusted addresses alone", "127.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"],
    ["an address with a port", "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
    ["IPv6 with a port", "10.0.0.1", "[2001:DB9:0::1]:4711", "2001:db9::1"],
    ["something that is no address", "10.0.0.1", "unknown", undefined],
    ["an address that only C would read", "10.0.0.1", "0x7f000001", undefined],
    ["an empty header", "10.0.0.1", "", undefined],
    ["a trusted peer of its own accord", "10.0.0.1", undefined, "10.0.0.1"],
  ])("finds the client behind %s", (_name, peer, forwardedFor, address) => {
    expect(trust.clientOf(came(peer, forwardedFor === undefined ? {} : { "x-forwarded-for": forwardedFor })).address).toBe(address);
  });

  it.each([
    ['for="[2001:db9::1]:4711";proto=https;host="a,b;c"', { address: "2001:db9::1", host: "a,b;c", protocol: "https" }],
    ["For=203.0.113.9;Host=evil, for=198.51.100.7;host=good.example;proto=HTTPS", { address: "198.51.100.7", host: "good.example" }],
    ['for=203.0.113.9;host="a\\",for=127.0.0.1;\\\\", for=198.51.100.7;host="b\\"c"', { address: "198.51.100.7", host: 'b"c' }],
    ["for=127.0.0.1\\, for=198.51.100.7", { address: "198.51.100.7" }],
    ["for = 203.0.113.9 ; host = spaced ", { address: "203.0.113.9", host: "spaced" }],
    ["for=203.0.113.9;host=outer, for=10.3.3.3", { address: "203.0.113.9", host: "outer" }],
    ["for=_hidden", { address: undefined }],
    ["proto=https", { address: undefined }],
  ])("reads Forwarded: %s", (forwarded, expected) => {
    expect(trust.clientOf(came("10.0.0.1", { forwarded, host: "own" }))).toMatchObject(expected);
  });

  it("takes host and protocol from the proxy that also named the client", () => {
    const headers = {
      host: "inner:1",
      "x-forwarded-for": "evil, 203.0.113.9",
      "x-forwarded-host": "evil, good",
      "x-forwarded-proto": "http, https",
    };
    expect(trust.clientOf(came("10.0.0.1", headers))).toEqual({
      address: "203.0.113.9",
      host: "good",
      protocol: "https",
      isForwarded: true,
    });
    const chain = { ...headers, "x-forwarded-for": "203.0.113.9, 10.1.1.1", "x-forwarded-host": "only" };
    expect(trust.clientOf(came("10.0.0.1", chain))).toMatchObject({ address: "203.0.113.9", host: "only" });
    expect(trust.clientOf(came("10.0.0.1", { host: "own", "x-forwarded-host": "other" }))).toMatchObject({
      address: "10.0.0.1",
      host: "other",
    });
  });

  it("knows nobody when the two headers contradict each other: one of them is the client's own", () => {
    const both = (forwarded: string) => trust.clientOf(came("10.0.0.1", { "x-forwarded-for": "203.0.113.9", forwarded }));
    expect(both("for=127.0.0.1")).toMatchObject({ address: undefined, isForwarded: true });
    expect(both("for=127.0.0.1, for=203.0.113.9")).toMatchObject({ address: undefined });
    expect(both('for="203.0.113.9:80";host=told')).toMatchObject({ address: "203.0.113.9", host: "told" });
  });
});

describe("isTrustEntry", () => {
  it("takes addresses and ranges, and nothing that only looks like them", () => {
    expect(["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "0.0.0.0/0"].map(isTrustEntry)).toEqual(Array(5).fill(true));
    const bad = [
      "",
      "true",
      "loopback",
      "10",
      "10.0.0",
      "10.0.0.0/33",
      "10.0.0.0/",
      "::1/129",
      "proxy.example",
      "10.0.0.1:80",
      "0x7f000001",
    ];
    expect(bad.map(isTrustEntry)).toEqual(Array(bad.length).fill(false));
  });
});
