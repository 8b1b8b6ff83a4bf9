import { CallersKey, type Secret } from "../security/secret.ts";
import type { Upstream } from "./upstream.ts";

/**
 * What a provider is called with when callers bring their own keys: `callers-key`, theirs goes there; `own-key`, its own, for whoever
 * comes. A key is one provider's, and callers who bring theirs are known to nobody else: without either word the provider is not used for
 * them.
 */
export type PassthroughUse = "callers-key" | "own-key";

/** A provider as requests are routed to it. */
export interface Provider {
  readonly id: string;
  readonly displayName: string;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** Which API it speaks natively: decides how the credential is sent. */
  readonly kind: "openai" | "anthropic";
  /** `undefined`: called without one, or with the caller's. */
  readonly apiKey: Secret | undefined;
  /** Matters in passthrough only. */
  readonly passthrough: PassthroughUse | undefined;
  /** Sent with every call. */
  readonly headers: Readonly<Record<string, string>>;
  /** Models routed to it by name; empty: none beside `provider/model`. */
  readonly models: readonly string[];
  /** Milliseconds that a call may take to its first byte, and each pause in its body. */
  readonly timeoutMs: number;
  /** Whose word it is: the operator's (environment, file) or saved through the admin API. */
  readonly source: "environment" | "file" | "database" | "sandbox";
  readonly upstream: Upstream;
  /** Epoch milliseconds of the save that made it what it is; what was learnt of it before says nothing any more. @default never: it is configured */
  readonly savedAt?: number;
  /** Whether its credential does not open, so that it cannot be called. @default false */
  readonly isSealed?: boolean;
  /** Whether its stored settings cannot be read, so that it cannot be called and only some of what is said here is known. @default false */
  readonly isUnreadable?: boolean;
}

/** The URL of an endpoint at a provider: base URLs by convention end in `/v1` for OpenAI's API and do not for Anthropic's. */
export function endpointUrl(provider: Pick<Provider, "baseUrl" | "kind">, path: string): string {
  const endsInVersion = /\/v\d+[a-z]*$/.test(provider.baseUrl);
  if (provider.kind === "anthropic" && !endsInVersion) return provider.baseUrl + path;
  return provider.baseUrl + path.replace(/^\/v1(?=\/)/, "");
}

/**
 * The headers that carry the credential: the provider's own, in the header that its API is used with, or in passthrough the caller's where the
 * provider is one for it, in the header in which it came if the API has both.
 */
export function credentialHeaders(provider: Provider, callersKey: CallersKey | undefined): Record<string, string> {
  const key = provider.passthrough === "callers-key" ? (callersKey ?? provider.apiKey) : provider.apiKey;
  if (!key) return {};
  const isBearer = provider.kind !== "anthropic" || (key instanceof CallersKey && key.isBearer);
  return isBearer ? { authorization: `Bearer ${key.reveal()}` } : { "x-api-key": key.reveal() };
}

/** A provider's own headers, by names as callers' headers have them: a name spelled otherwise would not replace the caller's, and both would be sent. */
export function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
