import type { MirrorOutcome } from "./run-report.ts";
import type { EncodedContent } from "./snapshot-codec.ts";
import type { CurrentHead, SnapshotReader } from "./snapshot-store.ts";

/**
 * A best-effort copy of the current version, near the readers. A mirror shows one whole version or the former one, never goes back to
 * an older one whoever writes last, and forgets what nobody refreshes.
 */
export interface Mirror extends SnapshotReader {
  /** Writes a version unless the mirror has it or a newer one. Never throws: trouble is an outcome. */
  write(head: CurrentHead, content: () => Promise<EncodedContent>): Promise<MirrorOutcome>;
  /** Releases what the mirror opened itself. Calling it again is fine. */
  close(): Promise<void>;
}
