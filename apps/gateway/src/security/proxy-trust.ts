import ipaddr from "ipaddr.js";

/** A request, as far as it tells where it came from. */
export interface CameFrom {
  /** The address at the other end of the connection; `undefined` where there is no connection. */
  readonly peerAddress: string | undefined;
  header(name: string): string | undefined;
}

/** Who asked, as the nearest hop tells it that is not trusted to tell more. */
export interface Client {
  /** `undefined` when a trusted proxy tells something that is no address: nobody known. */
  readonly address: string | undefined;
  /** The host that the client asked for. */
  readonly host: string | undefined;
  readonly protocol: "http" | "https";
  /** Whether a trusted proxy stands in between. */
  readonly isForwarded: boolean;
}

/** One hop as a proxy tells it. */
interface Hop {
  readonly address: string | undefined;
  readonly host: string | undefined;
  readonly protocol: string | undefined;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/**
 * Whose word counts when a request says where it came from.
 *
 * Anyone can send `X-Forwarded-For`. So the headers are read only when the connection itself comes from a trusted address, and from the right:
 * the last entry was written by the proxy that is connected to us; if the address it names is trusted as well, the entry before was written by
 * that one, and so on. The first address that is not trusted is the client, and whatever stands left of it is the client's own claim.
 *
 * A proxy that writes one of `X-Forwarded-For` and `Forwarded` (RFC 7239) lets the other through as the client sent it. When both are there and
 * do not tell the same, nobody is believed: the client is unknown.
 */
export class ProxyTrust {
  readonly #ranges: readonly Range[];

  /** @param trusted addresses and CIDR ranges, as `isTrustEntry` takes them */
  constructor(trusted: readonly string[]) {
    this.#ranges = trusted.map(readRange).filter((range) => range !== undefined);
  }

  /** Whether no proxy is trusted. */
  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** Who asked. */
  clientOf(request: CameFrom): Client {
    const { peerAddress } = request;
    const direct: Client = { address: plain(peerAddress), host: request.header("host"), protocol: "http", isForwarded: false };
    if (this.isEmpty || !this.#isTrusted(direct.address)) return direct;
    const hops = readHops(request);
    if (hops === "contradictory") return { ...direct, address: undefined, isForwarded: true };
    if (hops.length === 0) return direct;
    let address = direct.address;
    let at = hops.length;
    while (at > 0 && this.#isTrusted(address)) {
      at -= 1;
      address = hops[at]?.address;
    }
    const { host, protocol } = hops[at] as Hop;
    return { address, host: host ?? direct.host, protocol: protocol === "https" ? "https" : "http", isForwarded: true };
  }

  #isTrusted(address: string | undefined): boolean {
    if (address === undefined) return false;
    const parsed = ipaddr.parse(address);
    return this.#ranges.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base as ipaddr.IPv4, bits));
  }
}

/** Whether a setting names an address or a CIDR range. */
export function isTrustEntry(text: string): boolean {
  return readRange(text) !== undefined;
}

function readRange(text: string): Range | undefined {
  try {
    // "10" and "0x7f000001" are addresses to the C library, and mistakes here.
    const [base = ""] = text.split("/", 1);
    if (!ipaddr.IPv4.isValidFourPartDecimal(base) && !ipaddr.IPv6.isValid(base)) return undefined;
    if (text.includes("/")) return ipaddr.parseCIDR(text);
    const address = ipaddr.process(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch {
    return undefined;
  }
}

/** An address in its plain form, IPv4 inside IPv6 as IPv4; `undefined` for anything that is none. */
function plain(text: string | undefined): string | undefined {
  if (text === undefined || (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text))) return undefined;
  return ipaddr.process(text).toString();
}

/** What the proxies tell, the nearest last; empty when they tell nothing. */
function readHops(request: CameFrom): readonly Hop[] | "contradictory" {
  const addresses = listOf(request.header("x-forwarded-for")).map((entry) => plain(withoutPort(entry)));
  const forwarded = request.header("forwarded");
  const hosts = listOf(request.header("x-forwarded-host"));
  const protocols = listOf(request.header("x-forwarded-proto"));
  if (forwarded !== undefined) {
    const hops = splitOutsideQuotes(forwarded, ",").map(readForwarded);
    const isSame = addresses.length === hops.length && addresses.every((address, index) => address === hops[index]?.address);
    return addresses.length === 0 || isSame ? hops : "contradictory";
  }
  const count = Math.max(addresses.length, Math.min(1, hosts.length + protocols.length));
  // Lists that are shorter than the addresses were written by the nearest proxies alone, or by one of them: what is left counts for all before.
  const near = (list: readonly string[], index: number): string | undefined => list[Math.max(0, list.length - count + index)];
  return Array.from({ length: count }, (_, index) => ({
    address: addresses.length > 0 ? addresses[index] : plain(request.peerAddress),
    host: near(hosts, index),
    protocol: near(protocols, index)?.toLowerCase(),
  }));
}

/** One element of `Forwarded`: `for=192.0.2.60;proto=https;host=example.com`, values quoted or not. */
function readForwarded(element: string): Hop {
  const pairs = new Map<string, string>();
  for (const pair of splitOutsideQuotes(element, ";")) {
    const at = pair.indexOf("=");
    const value = pair.slice(at + 1).trim();
    const isQuoted = value.startsWith('"') && value.endsWith('"') && value.length > 1;
    if (at > 0) pairs.set(pair.slice(0, at).trim().toLowerCase(), isQuoted ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value);
  }
  return { address: plain(withoutPort(pairs.get("for") ?? "")), host: pairs.get("host"), protocol: pairs.get("proto")?.toLowerCase() };
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let isQuoted = false;
  let from = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === "\\" && isQuoted) index += 1;
    else if (text[index] === '"') isQuoted = !isQuoted;
    else if (text[index] === separator && !isQuoted) {
      parts.push(text.slice(from, index).trim());
      from = index + 1;
    }
  }
  return [...parts, text.slice(from).trim()];
}

const listOf = (text: string | undefined): string[] => (text === undefined ? [] : text.split(",").map((entry) => entry.trim()));

/** `192.0.2.1:8080` and `[2001:db8::1]:8080` without port and brackets. */
function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
}
