import type { Settings } from "../config/schema.ts";
import { Secret } from "../security/secret.ts";
import { lowerCased, type Provider } from "./provider.ts";
import { SANDBOX_BASE_URL, SANDBOX_MODELS, SandboxUpstream } from "./sandbox-upstream.ts";
import type { Upstream } from "./upstream.ts";

/** The providers of the environment and the file: the operator's word, which is not checked. */
export interface OperatorProviders {
  /** Those of the file. */
  readonly providers: readonly Provider[];
  /** Takes every model that is not routed elsewhere: the environment's, or the sandbox. */
  readonly fallback: Provider;
  readonly anthropic: Provider | undefined;
}

/** @param trusted speaks to them */
export function operatorProviders(settings: Settings, trusted: Upstream): OperatorProviders {
  return {
    providers: Object.keys(settings.providers).map((id) => fileProvider(settings, id, trusted)),
    fallback: openaiProvider(settings, trusted) ?? createSandboxProvider(settings.upstreamTimeout),
    anthropic: anthropicProvider(settings, trusted),
  };
}

function openaiProvider({ openaiBaseUrl, openaiApiKey, upstreamTimeout }: Settings, trusted: Upstream): Provider | undefined {
  if (openaiBaseUrl === undefined && openaiApiKey === undefined) return undefined;
  return {
    ...environmentProvider(upstreamTimeout, trusted),
    id: "openai",
    displayName: "Default upstream",
    baseUrl: bareUrl(openaiBaseUrl ?? "https://api.openai.com/v1"),
    kind: "openai",
    apiKey: toSecret(openaiApiKey),
  };
}

function anthropicProvider({ anthropicBaseUrl, anthropicApiKey, upstreamTimeout }: Settings, trusted: Upstream): Provider | undefined {
  if (anthropicBaseUrl === undefined && anthropicApiKey === undefined) return undefined;
  return {
    ...environmentProvider(upstreamTimeout, trusted),
    id: "anthropic",
    displayName: "Anthropic",
    baseUrl: bareUrl(anthropicBaseUrl ?? "https://api.anthropic.com"),
    kind: "anthropic",
    apiKey: toSecret(anthropicApiKey),
  };
}

type EnvironmentProvider = Pick<Provider, "headers" | "models" | "passthrough" | "timeoutMs" | "source" | "upstream">;

function environmentProvider(timeoutMs: number, upstream: Upstream): EnvironmentProvider {
  return { headers: {}, models: [], passthrough: "callers-key", timeoutMs, source: "environment", upstream };
}

function fileProvider(settings: Settings, id: string, upstream: Upstream): Provider {
  const { baseUrl, kind, apiKey, passthrough, models, timeout, ...configured } = settings.providers[id] as Settings["providers"][string];
  const headers = lowerCased(configured.headers);
  const timeoutMs = timeout ?? settings.upstreamTimeout;
  const credential = toSecret(apiKey);
  return {
    id,
    displayName: id,
    baseUrl: bareUrl(baseUrl),
    kind,
    apiKey: credential,
    passthrough,
    headers,
    models,
    timeoutMs,
    source: "file",
    upstream,
  };
}

/** The provider that stands in while no upstream is configured. */
export function createSandboxProvider(timeoutMs: number): Provider {
  const upstream = new SandboxUpstream();
  const identity = { id: "sandbox", displayName: "Sandbox (no upstream configured)", baseUrl: SANDBOX_BASE_URL, kind: "openai" } as const;
  const common = { headers: {}, models: SANDBOX_MODELS, timeoutMs, source: "sandbox", upstream } as const;
  return { ...identity, apiKey: undefined, passthrough: "own-key", ...common };
}

function bareUrl(url: string): string {
  return url.replace(/\/+$/, "");
}

function toSecret(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : new Secret(value);
}
