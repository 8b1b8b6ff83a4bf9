import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import type { CoherenceWatcher } from "@larder/pubsub-invalidation/watcher";
import { createAdminApp } from "./admin/admin-app.ts";
import type { AdminParts } from "./admin/admin-parts.ts";
import { takeStats } from "./admin/stats.ts";
import { ANSWERS_NAMESPACE, type AnswerCache } from "./caching/answer-cache.ts";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import { SettingsError } from "./config/read-settings.ts";
import type { Settings } from "./config/schema.ts";
import { createFrontRouter } from "./front-router.ts";
import { createGatewayCore } from "./gateway-core.ts";
import { openSharedTier } from "./open-shared-tier.ts";
import { AddressGuard } from "./security/address-guard.ts";
import { Authenticator, authModeOf } from "./security/authenticator.ts";
import { type MasterKeys, readMasterKey, Sealer } from "./security/sealer.ts";
import { readOrCreateSecret } from "./security/secret-file.ts";
import { GatewayServer } from "./server.ts";
import type { SharedTier } from "./shared-tier.ts";
import { GatewayStore } from "./storage/gateway-store.ts";
import { sqlitePath } from "./storage/sql.ts";
import { startSync } from "./sync/start-sync.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { startTelemetry } from "./telemetry/start-telemetry.ts";
import { readTelemetrySettings } from "./telemetry/telemetry-settings.ts";
import { PooledUpstream } from "./upstream/pooled-upstream.ts";
import { ProviderDirectory } from "./upstream/provider-directory.ts";
import { SoloSurvey, type Survey } from "./worker-survey.ts";

/** A gateway that listens. */
export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  /** The file that holds the generated admin token; `undefined` when the token was configured. */
  readonly adminTokenFile: string | undefined;
  /** The generated token, when this start made it: to be shown once, on a terminal only. */
  readonly newAdminToken: string | undefined;
  /**
   * Stops as on SIGTERM: says on `/readyz` that it is not ready and goes on serving for `drainGrace`, so that load balancers notice, then closes.
   */
  drain(): Promise<void>;
  /** Stops: no new work, answers in flight end, pending invalidations are sent. Calling it again is fine. */
  close(): Promise<void>;
}

/** What a start may be given instead of the usual. */
export interface StartOptions {
  /** What relative paths are relative to. @default the working directory */
  readonly directory?: string;
  /** @default JSON lines on stderr, from the level of the settings on */
  readonly log?: Log;
  /** What the processes share, when it has been opened already: workers of one machine. @default opened as the settings say */
  readonly shared?: SharedTier;
  /** The other processes of this gateway. @default none */
  readonly survey?: Survey;
  /** Which of several workers this is. @default none: the process is by itself */
  readonly worker?: string;
}

/** Composes a gateway from its settings and starts it. @throws {SettingsError} when secrets are not usable */
export async function startGateway(settings: Settings, options: StartOptions = {}): Promise<RunningGateway> {
  const { directory = process.cwd(), log = createLog(settings.logLevel), survey = new SoloSurvey(), worker } = options;
  const telemetrySettings = readTelemetrySettings();
  const secrets = obtainSecrets(settings, directory);
  const shared = options.shared ?? (await openSharedTier(settings, settings.masterKey === undefined ? undefined : secrets, log));
  const store = new GatewayStore(settings.databaseUrl, directory, (isUp, code) => {
    if (isUp) log.info("the database of record is there");
    else log.warn({ code }, "the database of record cannot be used: what is known of providers and keys goes on being used");
  });
  const guard = new AddressGuard(settings.allowedPrivateHosts);
  const sealer = new Sealer(secrets.masterKey, secrets.previousMasterKeys);
  const { upstreamConnections: connections } = settings;
  const trusted = new PooledUpstream({ connections });
  const guarded = new PooledUpstream({ connections, guard });
  const onProblem = (providerId: string, problem: string): void =>
    log.error({ providerId }, `a stored provider cannot be used: ${problem}`);
  const onResealed = (providerId: string): void => log.info({ providerId }, "a credential was sealed anew with the master key of now");
  const told = { onProblem, onResealed };
  const directoryOfProviders = new ProviderDirectory({ settings, store, sealer, bus: shared.bus, trusted, guarded, guard, ...told });
  const sync = await startSync({ settings, directory, shared, log });
  const authenticator = new Authenticator(settings, store, shared.bus);
  const { l2, bus, counter } = shared;
  const { catalog, prices } = sync;
  // The metrics read parts that are made a moment later.
  const telemetry = await startTelemetry(telemetrySettings, () => core.parts, log);
  const hasTenants = authModeOf(settings) === "keys";
  const common = { settings, hasTenants, authenticator, directory: directoryOfProviders, log, telemetry };
  const core = createGatewayCore({ ...common, catalog, prices, l2, bus, counter });
  const { parts, api } = core;
  const { answers, meter } = parts;
  const state = { isDraining: false };
  const backends = (): Record<string, boolean> => {
    const redis = shared.isUp();
    return { database: store.isUp, ...(redis === undefined ? {} : { redis, bus: !answers.isDegraded }) };
  };
  const admin: AdminParts = {
    parts,
    store,
    sealer,
    guard,
    directory: directoryOfProviders,
    authenticator,
    catalog: sync.catalog,
    sync: sync.control,
    adminToken: secrets.adminToken,
    survey,
    health: () => ({ isDegraded: answers.isDegraded, isDraining: state.isDraining, backends: backends() }),
    isReady: () => !state.isDraining && canIdentify(settings, store),
  };
  const watcher = await watchCoherence(settings, shared, answers, log);
  const metrics = new Metrics({ meter, answers, backends, watcher: watcher && (() => watcher.stats()), worker });
  survey.answer("metrics", () => metrics.render());
  survey.answer("stats", () => takeStats(parts));
  survey.answer("recent-requests", () => parts.planner.recent.all);
  const adminListener = getRequestListener(createAdminApp(admin).fetch, { overrideGlobalObjects: false });
  const server = new GatewayServer({
    api,
    other: createFrontRouter({ admin, settings, metrics, adminListener }),
    bodyTimeoutMs: settings.bodyTimeout,
  });
  if (authModeOf(settings) === "passthrough")
    for (const [providerId, { passthrough }] of Object.entries(settings.providers))
      if (!passthrough) log.warn({ providerId }, "a provider is not called for callers with keys of their own: set its `passthrough`");
  await store.check();
  const port = await server.listen(settings.port, settings.host);
  // Read now rather than at the first request, so that what an older master key has sealed is sealed anew without waiting for one.
  void Promise.resolve(directoryOfProviders.table()).then(
    ({ providers }) => warnOfUnknownTargets(settings, providers, log),
    () => undefined,
  );
  const close = async (): Promise<void> => {
    state.isDraining = true;
    await server.close(settings.drain);
    await telemetry?.close();
    watcher?.close();
    await Promise.allSettled([core.close(), directoryOfProviders.close(), authenticator.close(), sync.close()]);
    await Promise.allSettled([shared.close(), trusted.close(), guarded.close(), store.close()]);
  };
  let closing: Promise<void> | undefined;
  const closeOnce = (): Promise<void> => {
    closing ??= close();
    return closing;
  };
  const drain = async (): Promise<void> => {
    state.isDraining = true;
    server.prepareToClose();
    await sleep(settings.drainGrace);
    await closeOnce();
  };
  return {
    url: `http://${settings.host.includes(":") ? `[${settings.host}]` : settings.host}:${port}`,
    port,
    adminTokenFile: secrets.adminTokenFile,
    newAdminToken: secrets.newAdminToken,
    drain,
    close: closeOnce,
  };
}

/** A provider that a route names may be saved later; until then the route's requests go elsewhere, and a mistake in its name would look just so. */
function warnOfUnknownTargets({ routes }: Settings, providers: ReadonlyMap<string, unknown>, log: Log): void {
  for (const { model, targets, fallbacks } of routes)
    for (const { provider } of [...targets, ...fallbacks])
      if (!providers.has(provider))
        log.warn({ route: model, provider }, "a route names a provider that there is not: its requests go past it");
}

/** Asks the other processes whether invalidations have arrived, where that is wanted and there are others. */
async function watchCoherence(
  { coherenceSampleRate: sampleRate }: Settings,
  { openWatcherPort }: SharedTier,
  cache: AnswerCache,
  log: Log,
): Promise<CoherenceWatcher<StoredAnswer> | undefined> {
  if (sampleRate === 0 || !openWatcherPort) return undefined;
  const { CoherenceWatcher } = await import("@larder/pubsub-invalidation/watcher");
  return new CoherenceWatcher({
    cache,
    namespace: ANSWERS_NAMESPACE,
    port: await openWatcherPort(),
    sampleRate,
    onInconsistent: ({ key, peer, afterMs }) => log.error({ key, peer, afterMs }, "another process holds what was invalidated"),
  });
}

/** Without any key that it could know, every request would be refused. Whoever asks has it looked for again: until then nobody else may. */
function canIdentify(settings: Settings, store: GatewayStore): boolean {
  if (authModeOf(settings) !== "keys" || store.hasBeenUp) return true;
  void store.check();
  return false;
}

interface Secrets extends MasterKeys {
  readonly adminToken: string;
  readonly adminTokenFile: string | undefined;
  readonly newAdminToken: string | undefined;
}

/** Secrets that were not configured are made once and kept beside the database, where processes that share it find them. */
function obtainSecrets(settings: Settings, directory: string): Secrets {
  const isFile = settings.databaseUrl.startsWith("file:");
  const folder = isFile ? dirname(sqlitePath(settings.databaseUrl, directory)) : join(directory, ".larder");
  if (settings.masterKey === undefined && !isFile)
    throw new SettingsError(["LARDER_MASTER_KEY must be set with PostgreSQL: every process of the fleet needs the same one"]);
  const masterText = settings.masterKey ?? readOrCreateSecret(join(folder, "master-key"), () => randomBytes(32).toString("hex")).secret;
  const masterKey = readMasterKey(masterText);
  if (!masterKey) throw new SettingsError(["LARDER_MASTER_KEY must be 32 bytes in hexadecimal (64 digits) or base64"]);
  const previousMasterKeys = settings.previousMasterKeys.map(readMasterKey).filter((key) => key !== undefined);
  if (previousMasterKeys.length < settings.previousMasterKeys.length)
    throw new SettingsError([
      "LARDER_MASTER_KEY_PREVIOUS must hold keys of 32 bytes in hexadecimal (64 digits) or base64, separated by commas",
    ]);
  const isOther = (key: Buffer, index: number): boolean =>
    !key.equals(masterKey) && previousMasterKeys.findIndex((earlier) => earlier.equals(key)) === index;
  const keys = { masterKey, previousMasterKeys: previousMasterKeys.filter(isOther) };
  if (settings.adminToken !== undefined)
    return { ...keys, adminToken: settings.adminToken, adminTokenFile: undefined, newAdminToken: undefined };
  const adminTokenFile = join(folder, "admin-token");
  const { secret, isNew } = readOrCreateSecret(adminTokenFile, () => `larder_admin_${randomBytes(32).toString("base64url")}`);
  return { ...keys, adminToken: secret, adminTokenFile, newAdminToken: isNew ? secret : undefined };
}
