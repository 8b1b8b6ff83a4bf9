import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";

const { isValid, parse } = ipaddr;

/**
 * Keeps providers that were saved through the admin API away from the operator's own network (SSRF).
 *
 * Checked twice, because a name may resolve differently the second time (DNS rebinding): when a base URL is saved, and again at connect,
 * inside the resolver that the connection itself uses, so that no address is reached that was not looked at. Only globally routable unicast
 * addresses pass; `ipaddr.js` knows the special ranges of RFC 6890, and IPv4 inside IPv6 (mapped, NAT64, 6to4, Teredo) is judged by
 * its range, never by how it is written. `new URL` has already turned 0x7f000001, 2130706433, 127.1 and circled digits into 127.0.0.1.
 */
export class AddressGuard {
  readonly #allowed: ReadonlySet<string>;
  readonly #resolve: LookupFunction;

  /** @param allowedPrivateHosts `host` or `host:port` that may be private; @param resolve stands in for DNS in tests */
  constructor(allowedPrivateHosts: readonly string[] = [], resolve: LookupFunction = lookup as LookupFunction) {
    this.#allowed = new Set(allowedPrivateHosts.map((host) => host.trim().toLowerCase()));
    this.#resolve = resolve;
  }

  /** Judges a base URL before it is saved. @returns the problem, or `undefined` when the URL may be used */
  async check(baseUrl: string): Promise<string | undefined> {
    if (/[\\\s]/.test(baseUrl)) return "must not contain backslashes or spaces";
    if (!URL.canParse(baseUrl)) return "is not a URL";
    const url = new URL(baseUrl);
    if (url.protocol !== "https:" && url.protocol !== "http:") return "must begin with https://";
    if (url.username !== "" || url.password !== "") return "must not contain a user name or password";
    if (url.search !== "" || url.hash !== "") return "must not contain a query or fragment";
    if (this.#isAllowed(url.hostname, portOf(url))) return undefined;
    if (url.protocol === "http:") return "must begin with https:// (http only for hosts in LARDER_ALLOWED_PRIVATE_HOSTS)";
    return this.#checkHost(url.hostname);
  }

  async #checkHost(hostname: string): Promise<string | undefined> {
    const host = bareHost(hostname);
    const literal = isValid(host);
    const addresses = literal ? [host] : await this.#addressesOf(host);
    if (addresses.length === 0) return undefined; // does not resolve now: connect will look again
    return addresses.every(isPublic) ? undefined : "points to a private or reserved address; LARDER_ALLOWED_PRIVATE_HOSTS can allow it";
  }

  #addressesOf(host: string): Promise<string[]> {
    if (/^localhost\.?$/i.test(host) || /\.localhost\.?$/i.test(host)) return Promise.resolve(["127.0.0.1"]);
    return new Promise((done) => {
      this.#resolve(host, { all: true }, (error, found) => {
        if (error) done([]);
        else done(Array.isArray(found) ? found.map((entry) => entry.address) : [found]);
      });
    });
  }

  /** The problem of a host written as an address, for connections that would never ask a resolver; `undefined` when it may be used. */
  literalProblem(hostname: string, port: number): string | undefined {
    const host = bareHost(hostname);
    if (this.#isAllowed(hostname, port) || !isValid(host) || isPublic(host)) return undefined;
    return "points to a private or reserved address";
  }

  /** A resolver for one connection: fails with `ERR_ADDRESS_REFUSED` when any address found is not public. */
  lookupFor(port: number): LookupFunction {
    return (hostname, options, callback) => {
      this.#resolve(hostname, options, (error, found, family) => {
        if (error) return callback(error, found, family);
        const addresses = Array.isArray(found) ? found.map((entry) => entry.address) : [found];
        if (this.#isAllowed(hostname, port) || addresses.every(isPublic)) return callback(null, found, family);
        callback(
          Object.assign(new Error("the provider's host name resolves to a private or reserved address"), { code: "ERR_ADDRESS_REFUSED" }),
          "",
          4,
        );
      });
    };
  }

  #isAllowed(hostname: string, port: number): boolean {
    const host = hostname.toLowerCase();
    return this.#allowed.has(host) || this.#allowed.has(`${host}:${port}`);
  }
}

const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}

/** Addresses that look public and are a cloud's own: Azure's machines are told their secrets there. */
const OF_CLOUDS: ReadonlySet<string> = new Set(["168.63.129.16"]);

/** Whether an address is globally routable unicast. Anything that does not parse is not. */
export function isPublic(address: string): boolean {
  const bare = address.replace(/%.*$/, "");
  if (!isValid(bare) || OF_CLOUDS.has(ipaddr.process(bare).toString())) return false;
  if (parse(bare).range() === "ipv4Mapped") return ipaddr.process(bare).range() === "unicast";
  return parse(bare).range() === "unicast";
}
