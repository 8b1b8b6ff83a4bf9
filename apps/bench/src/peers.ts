/** A peer that is installed and can be imported. */
export interface LoadedPeer {
  /** The version that was installed. */
  readonly version: string;
  /** The folder of the package itself, for peers that are run as programs. */
  readonly folder: string;
  /** Imports the package or one of its subpaths, for example `import("bentocache/drivers/memory")`. */
  import(specifier: string): Promise<Record<string, unknown>>;
}

/** Other libraries, installed on demand into a folder of their own, never into the workspace. */
export interface Peers {
  /** Installs the peer if needed. @throws {PeerUnavailable} when that fails, offline for example */
  load(name: string): Promise<LoadedPeer>;
}

/** A peer could not be installed or imported: the row says so and the run goes on. */
export class PeerUnavailable extends Error {
  readonly peer: string;
  /** What to do to have it measured. */
  readonly install: string;

  constructor(peer: string, why: string, install: string) {
    super(why);
    this.name = "PeerUnavailable";
    this.peer = peer;
    this.install = install;
  }
}
