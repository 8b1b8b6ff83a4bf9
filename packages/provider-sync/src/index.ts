// For users.

export type { CatalogOptions, CatalogStats } from "./catalog.ts";
export { Catalog, createCatalog } from "./catalog.ts";
export type { CatalogViewOptions, ModelPrice } from "./catalog-view.ts";
export { CatalogView, defaultPreferredProviders } from "./catalog-view.ts";
export type { HandOptions } from "./change-by-hand.ts";
export { acceptQuarantined, rollBack } from "./change-by-hand.ts";
export type { PriceDisagreement, SourceAgreement } from "./compare-prices.ts";
export { comparePrices, compareSources } from "./compare-prices.ts";
export type { ModelChange, ModelChangeKind } from "./diff-models.ts";
export { diffModels } from "./diff-models.ts";
// For those who implement a source, a store, a mirror or a publisher, or drive the parts themselves.
export type { BodyFetcher, BodyRequest, FetchedBody, FetchOptions, Validators } from "./fetch-body.ts";
export { createBodyFetcher } from "./fetch-body.ts";
export type { GuardInput } from "./guard-input.ts";
export type { GuardVerdict } from "./guard-layer.ts";
export { guardLayer } from "./guard-layer.ts";
export type { GuardPolicy } from "./guard-policy.ts";
export { defaultGuardPolicy, guardPolicy } from "./guard-policy.ts";
export type { CatalogModel, HeldPrice } from "./merge-layers.ts";
export { mergeModels, mergeProviders } from "./merge-layers.ts";
export type { Mirror } from "./mirror.ts";
export type {
  ModelEndpoint,
  ModelKind,
  ModelListing,
  PriceTier,
  ProviderRecord,
  TokenPriceField,
  TokenPrices,
  UnitPriceField,
  UnitPrices,
} from "./model-listing.ts";
export { listingId } from "./model-listing.ts";
export { parseItems } from "./parse-items.ts";
export type { PricePath } from "./prices.ts";
export { flattenPrices } from "./prices.ts";
export type { VersionPublisher, VersionPublisherOptions } from "./publish-version.ts";
export { catalogKey, catalogNamespace, createVersionPublisher } from "./publish-version.ts";
export type { Pulse, SourcePulse } from "./pulse.ts";
export type { Acceptance, QuarantineEntry, QuarantineReason } from "./quarantine.ts";
export type { MirrorOutcome, RunOutcome, RunReport, SourceReport } from "./run-report.ts";
export type { RunnerLock } from "./runner-lock.ts";
export type { LapsedPrice, ListedModel, Snapshot, SnapshotContent, SnapshotHead, SnapshotReason, SourceLayer } from "./snapshot.ts";
export type { EncodedContent } from "./snapshot-codec.ts";
export { decodeContent, encodeContent } from "./snapshot-codec.ts";
export type {
  CommitInput,
  CommitResult,
  CurrentHead,
  NewVersion,
  RawBody,
  RecordedChange,
  SnapshotReader,
  SnapshotStore,
  SyncState,
} from "./snapshot-store.ts";
export type { RejectedItem, Source, SourceContext, SourceReading, SourceRequest } from "./source.ts";
export type { SourceFailureReason } from "./source-error.ts";
export { SourceError } from "./source-error.ts";
export { litellmPrices } from "./sources/litellm-prices.ts";
export { modelsDev } from "./sources/models-dev.ts";
export type { OpenAiCompatibleOptions } from "./sources/openai-compatible.ts";
export { openAiCompatible } from "./sources/openai-compatible.ts";
export type { OpenRouterEndpointsOptions } from "./sources/openrouter-endpoints.ts";
export { openRouterEndpoints } from "./sources/openrouter-endpoints.ts";
export { openRouterModels } from "./sources/openrouter-models.ts";
export { openRouterProviders } from "./sources/openrouter-providers.ts";
export type { UpstreamOptions } from "./sources/upstream-options.ts";
export { vercelGateway } from "./sources/vercel-gateway.ts";
export type { AlertMemory, StaleAlert, StaleAlertOptions, StaleAlertOutcome } from "./stale-alert.ts";
export { checkStaleAlert, readInstant } from "./stale-alert.ts";
export type { SyncOptions } from "./sync.ts";
export { syncOnce } from "./sync.ts";
export type { SourceProgress, SyncEvent, SyncEvents, SyncListener } from "./sync-events.ts";
export type { RunNowResult, SyncSchedulerOptions, SyncStatus } from "./sync-scheduler.ts";
export { createSyncScheduler, SyncScheduler } from "./sync-scheduler.ts";
export { fromUsd, fromUsdPerToken } from "./usd-per-million.ts";
