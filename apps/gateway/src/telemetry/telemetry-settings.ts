import { SettingsError } from "../config/read-settings.ts";

/** How telemetry is written down on its way out. */
export type TelemetryProtocol = "http/protobuf" | "http/json";

/** Which signals leave the process. */
export interface TelemetrySettings {
  /** `undefined`: no traces are sent. */
  readonly traces: TelemetryProtocol | undefined;
  /** `undefined`: no metrics are sent. */
  readonly metrics: TelemetryProtocol | undefined;
  /** Milliseconds > 0 between two sendings of the metrics. */
  readonly metricIntervalMs: number;
}

const PROTOCOLS: readonly string[] = ["http/protobuf", "http/json"] satisfies TelemetryProtocol[];
/** The specification's own default. */
const METRIC_INTERVAL_MS = 60_000;

/**
 * Reads OpenTelemetry's own variables: which signals are wanted, and in which form. Addresses, headers, certificates, sampling and resource
 * attributes are read by the SDK itself, by the same names as everywhere.
 * @returns `undefined` when nothing is to be sent. @throws {SettingsError} naming every variable that is not usable; values are never quoted
 */
export function readTelemetrySettings(environment: NodeJS.ProcessEnv = process.env): TelemetrySettings | undefined {
  const problems: string[] = [];
  // An empty variable counts as unset: so says the specification.
  const read = (name: string): string | undefined => environment[name]?.trim() || undefined;
  if (read("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return undefined;
  const traces = readSignal("TRACES", read, problems);
  const metrics = readSignal("METRICS", read, problems);
  if (traces === undefined && metrics === undefined && problems.length === 0) return undefined;
  const metricIntervalMs = Number(read("OTEL_METRIC_EXPORT_INTERVAL") ?? METRIC_INTERVAL_MS);
  if (!Number.isInteger(metricIntervalMs) || metricIntervalMs < 1)
    problems.push("OTEL_METRIC_EXPORT_INTERVAL must be a whole number of milliseconds above 0");
  if (problems.length > 0) throw new SettingsError(problems);
  return { traces, metrics, metricIntervalMs };
}

function readSignal(
  signal: "TRACES" | "METRICS",
  read: (name: string) => string | undefined,
  problems: string[],
): TelemetryProtocol | undefined {
  const exporter = read(`OTEL_${signal}_EXPORTER`);
  if (exporter === "none") return undefined;
  if (exporter !== undefined && exporter !== "otlp") problems.push(`OTEL_${signal}_EXPORTER must be otlp or none`);
  const own = `OTEL_EXPORTER_OTLP_${signal}`;
  const endpointName = read(`${own}_ENDPOINT`) === undefined ? "OTEL_EXPORTER_OTLP_ENDPOINT" : `${own}_ENDPOINT`;
  const endpoint = read(endpointName);
  // Asked for by name without an address: the specification's default address is taken by the SDK.
  if (endpoint === undefined && exporter !== "otlp") return undefined;
  if (endpoint !== undefined && !isHttpUrl(endpoint)) problems.push(`${endpointName} must be an http or https URL`);
  const protocolName = read(`${own}_PROTOCOL`) === undefined ? "OTEL_EXPORTER_OTLP_PROTOCOL" : `${own}_PROTOCOL`;
  const protocol = read(protocolName) ?? "http/protobuf";
  if (!PROTOCOLS.includes(protocol)) problems.push(`${protocolName} must be http/protobuf or http/json: gRPC is not spoken`);
  return protocol as TelemetryProtocol;
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
