import { MemoryInvalidationBus } from "@larder/cache-core";
import { ManualClock, settle } from "@larder/cache-testing";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  type Catalog,
  type CatalogOptions,
  CatalogView,
  type CurrentHead,
  createCatalog,
  createVersionPublisher,
  type ListedModel,
  type ModelEndpoint,
  type ModelListing,
  type ProviderRecord,
  type Snapshot,
  type SnapshotContent,
  type SnapshotReader,
  type SourceLayer,
} from "../src/index.ts";
import { listing } from "./support/listings.ts";

/** A reader whose answers a test writes, and which counts what it is asked. */
class ScriptedReader implements SnapshotReader {
  readonly name: string;
  heads = 0;
  reads = 0;
  current: (Snapshot & CurrentHead) | undefined;
  failure: Error | undefined;
  #gate: Promise<void> = Promise.resolve();

  constructor(current?: Snapshot & CurrentHead, name = "script") {
    this.name = name;
    this.current = current;
  }

  /** Holds the next answers back until the returned function is called. */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  async head(): Promise<CurrentHead | undefined> {
    this.heads += 1;
    const { current } = this;
    await this.#gate;
    if (this.failure) throw this.failure;
    return current;
  }

  async latest(): Promise<(Snapshot & CurrentHead) | undefined> {
    this.reads += 1;
    const { current } = this;
    await this.#gate;
    if (this.failure) throw this.failure;
    return current;
  }
}

const listed = (model: ModelListing, vanishedAt?: number): ListedModel => ({
  listing: model,
  firstSeenAt: 1,
  ...(vanishedAt && { vanishedAt }),
});

function content(
  models: readonly ListedModel[],
  rest: {
    readonly providers?: readonly ProviderRecord[];
    readonly endpoints?: ReadonlyArray<readonly [string, readonly ModelEndpoint[]]>;
  } = {},
): SnapshotContent {
  return {
    layers: [{ source: "script", models, providers: rest.providers ?? [], endpoints: rest.endpoints ?? [] }],
    quarantine: [],
    acceptances: [],
  };
}

function snapshot(version: number, lineage = "000-a", checkedAt = 1_700_000_000_000): Snapshot & CurrentHead {
  const models = ["a", "b", "c"].map((name) => listed(listing(name, { input: version, output: version })));
  return {
    lineage,
    version,
    createdAt: checkedAt,
    checkedAt,
    digest: `${lineage}${version}`,
    reason: "sync",
    modelCount: 3,
    content: content(models),
  };
}

let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

function open(readers: readonly SnapshotReader[], options: Partial<CatalogOptions> = {}): Catalog {
  const catalog = createCatalog({ readers, clock, ...options });
  onTestFinished(() => catalog.close());
  return catalog;
}

describe("Catalog", () => {
  it("does not call fresh for a month what a clock confirmed that was a month ahead, and takes the next confirmation for what it is", async () => {
    const monthMs = 30 * 86_400_000;
    const reader = new ScriptedReader();
    reader.current = snapshot(1, "000-a", clock.wallNow() + monthMs);
    const catalog = open([reader]);
    await catalog.refresh();
    expect(catalog.stats()).toMatchObject({ version: 1, isStale: true });
    reader.current = snapshot(1, "000-a", clock.wallNow());
    await catalog.refresh();
    expect(catalog.stats()).toMatchObject({ isStale: false, ageMs: 0 });
    clock.advance(3_600_001);
    expect(catalog.stats()).toMatchObject({ isStale: true, ageMs: 3_600_001 });
  });

  it("is ready with the first version, and answers unknown before it without failing", async () => {
    const reader = new ScriptedReader();
    const catalog = open([reader]);
    expect(catalog.find("a")).toBeUndefined();
    expect(catalog.stats()).toMatchObject({ version: 0, models: 0, ageMs: undefined, isStale: true });
    reader.current = snapshot(1);
    await settle();
    await catalog.refresh();
    await catalog.ready();
    expect(catalog.price("acme/a")).toEqual({ id: "acme/a", usdPerMillion: { input: 1, output: 1 }, source: "script" });
  });

  it("goes on serving the last good version when reads fail, says its age, and never becomes empty (seeds W4.7)", async () => {
    const reader = new ScriptedReader(snapshot(1));
    const catalog = open([reader], { staleAfterMs: 3_600_000 });
    await catalog.ready();
    expect([await catalog.refresh(), catalog.stats().refreshErrors]).toEqual([true, 0]);
    reader.failure = new Error("away");
    expect([await catalog.refresh(), catalog.stats().refreshErrors]).toEqual([false, 1]);
    expect(catalog.model("acme/a")).toBeDefined();
    await clock.advanceAsync(3_600_001);
    expect(catalog.stats()).toMatchObject({ version: 1, models: 3, ageMs: 3_600_001, isStale: true });
    expect(catalog.stats().refreshErrors).toBeGreaterThan(1);
    reader.failure = undefined;
    reader.current = undefined;
    await catalog.refresh();
    expect(catalog.view.models).toHaveLength(3);
  });

  it("tries a failed read again and keeps what then succeeds: exactly two loads (S4 index)", async () => {
    const reader = new ScriptedReader(snapshot(1));
    reader.failure = new Error("away");
    const catalog = open([reader]);
    await settle();
    reader.failure = undefined;
    await clock.advanceAsync(250);
    await catalog.ready();
    expect(reader.heads).toBe(2);
    for (let asked = 0; asked < 100; asked += 1) catalog.find("a");
    await settle();
    expect([reader.heads, reader.reads]).toEqual([2, 1]);
  });

  it("does not ask a failing reader with every call: the next look waits, longer each time (seeds W4.6)", async () => {
    const reader = new ScriptedReader();
    reader.failure = new Error("away");
    const catalog = open([reader]);
    await settle();
    for (let asked = 0; asked < 1000; asked += 1) catalog.find("a");
    await settle();
    expect(reader.heads).toBe(1);
    await clock.advanceAsync(10_000);
    expect(reader.heads).toBeLessThan(9);
  });

  it("looks once for all who ask at one time", async () => {
    const reader = new ScriptedReader(snapshot(1));
    const openGate = reader.hold();
    const catalog = open([reader]);
    const asking = Promise.all(Array.from({ length: 50 }, () => catalog.refresh()));
    openGate();
    await asking;
    expect([reader.heads, reader.reads]).toEqual([1, 1]);
  });

  it("takes one more look when news comes while it reads, since that read may be older than the news", async () => {
    const bus = new MemoryInvalidationBus();
    const publisher = createVersionPublisher(bus);
    const reader = new ScriptedReader(snapshot(1));
    const catalog = open([reader], { bus });
    await catalog.ready();
    await settle();
    const openGate = reader.hold();
    const refreshing = catalog.refresh();
    reader.current = snapshot(2);
    await publisher.publish(2);
    openGate();
    await refreshing;
    expect(catalog.version).toBe(2);
  });

  it("follows the bus within one delivery, and the clock where there is no bus", async () => {
    const bus = new MemoryInvalidationBus();
    const publisher = createVersionPublisher(bus);
    const reader = new ScriptedReader(snapshot(1));
    const [told, polling] = [
      open([reader], { bus, refreshIntervalMs: Number.POSITIVE_INFINITY }),
      open([reader], { refreshIntervalMs: 5000 }),
    ];
    await Promise.all([told.ready(), polling.ready()]);
    reader.current = snapshot(2);
    await publisher.publish(2);
    await settle();
    expect([told.version, polling.version]).toEqual([2, 1]);
    await clock.advanceAsync(5000);
    expect(polling.version).toBe(2);
    expect(clock.pendingTimers).toBe(1);
  });

  it("tells the other catalogs of what its own process committed, and takes it itself", async () => {
    const bus = new MemoryInvalidationBus();
    const reader = new ScriptedReader(snapshot(1));
    const [own, other] = [open([reader], { bus }), open([reader], { bus })];
    await Promise.all([own.ready(), other.ready()]);
    reader.current = snapshot(2);
    await own.publish(2);
    expect(own.version).toBe(2);
    await settle();
    expect(other.version).toBe(2);
  });

  it("never goes back to an older version, and follows a later store whatever its version", async () => {
    const reader = new ScriptedReader(snapshot(5));
    const catalog = open([reader]);
    await catalog.ready();
    reader.current = snapshot(4);
    await catalog.refresh();
    expect(catalog.version).toBe(5);
    reader.current = snapshot(1, "001-b");
    await catalog.refresh();
    expect(catalog.version).toBe(1);
    reader.current = snapshot(9, "000-a");
    await catalog.refresh();
    expect(catalog.version).toBe(1);
  });

  it("follows a store that was restored from a backup once the version held has not been confirmed for long, whatever a mirror still shows", async () => {
    const hourMs = 3_600_000;
    const start = clock.wallNow();
    const mirror = new ScriptedReader(snapshot(5, "000-a", start), "mirror");
    const store = new ScriptedReader(snapshot(5, "000-a", start), "store");
    const catalog = open([mirror, store], { refreshIntervalMs: Number.POSITIVE_INFINITY });
    await catalog.ready();
    const restoredAfter = async (ms: number): Promise<void> => {
      clock.advance(start + ms - clock.wallNow());
      store.current = snapshot(3, "000-a", clock.wallNow());
      await catalog.refresh();
    };
    await restoredAfter(hourMs);
    expect(catalog.version).toBe(5);
    await restoredAfter(hourMs + 1);
    expect(catalog.stats()).toMatchObject({ version: 3, isStale: false });
    await catalog.refresh();
    expect(catalog.version).toBe(3);
    store.current = snapshot(4, "000-a", clock.wallNow());
    await catalog.refresh();
    expect(catalog.version).toBe(4);
  });

  it("takes a newer version although a clock that was ahead had confirmed the one before", async () => {
    const hourMs = 3_600_000;
    const reader = new ScriptedReader(snapshot(2, "000-a", clock.wallNow() + 3 * hourMs));
    const catalog = open([reader], { refreshIntervalMs: Number.POSITIVE_INFINITY });
    await catalog.ready();
    await catalog.refresh();
    for (let minutes = 0; minutes < 400; minutes += 10) {
      clock.advance(600_000);
      reader.current = snapshot(3 + minutes, "000-a", clock.wallNow());
      await catalog.refresh();
      expect(catalog.version).toBe(3 + minutes);
    }
  });

  it("asks the store when the mirror is away, behind, or stands still", async () => {
    const mirror = new ScriptedReader(snapshot(1), "mirror");
    const store = new ScriptedReader(snapshot(1), "store");
    const catalog = open([mirror, store]);
    await catalog.ready();
    await settle();
    expect(store.reads).toBe(0);
    store.current = snapshot(2);
    await catalog.refresh();
    expect(catalog.version).toBe(2);
    mirror.failure = new Error("away");
    store.current = snapshot(3);
    await catalog.refresh();
    expect(catalog.version).toBe(3);
    expect(catalog.stats().fallbacks).toBeGreaterThan(0);
  });

  it("is not held up for ever by a reader that hangs", async () => {
    const hanging = new ScriptedReader(undefined, "hanging");
    hanging.hold();
    const catalog = open([hanging, new ScriptedReader(snapshot(1))], { timeoutMs: 500 });
    await clock.advanceAsync(500);
    await catalog.ready();
    expect(catalog.version).toBe(1);
  });

  it("gives one whole version to who takes the view once, while newer ones come", async () => {
    const reader = new ScriptedReader(snapshot(1));
    const catalog = open([reader]);
    await catalog.ready();
    const { view } = catalog;
    for (let version = 2; version < 20; version += 1) {
      reader.current = snapshot(version);
      await catalog.refresh();
      const prices = catalog.view.models.map((model) => model.usdPerMillion.input);
      expect(new Set(prices)).toEqual(new Set([catalog.version]));
    }
    expect(view.models.map((model) => model.usdPerMillion.input)).toEqual([1, 1, 1]);
  });

  it("keeps its age from moving backwards and learns of confirmations without a new version", async () => {
    const reader = new ScriptedReader(snapshot(1));
    const catalog = open([reader], { refreshIntervalMs: Number.POSITIVE_INFINITY });
    await catalog.ready();
    await clock.advanceAsync(60_000);
    expect(catalog.ageMs).toBe(60_000);
    reader.current = snapshot(1, "000-a", clock.wallNow());
    await catalog.refresh();
    expect(catalog.ageMs).toBe(0);
    clock.jumpWall(-3_600_000);
    expect(catalog.ageMs).toBe(0);
  });

  it("serves the former version whole while a new one of thousands of models is indexed, and lets other work run in between", async () => {
    const models = Array.from({ length: 3_000 }, (_, index) => `model-${String(index).padStart(4, "0")}`);
    const edition = (version: number): Snapshot & CurrentHead => ({
      ...snapshot(version),
      content: content(models.map((name) => listed(listing(name, { input: version })))),
    });
    const reader = new ScriptedReader(edition(1));
    const catalog = open([reader], { refreshIntervalMs: Number.POSITIVE_INFINITY });
    await catalog.ready();
    await settle();
    reader.current = edition(2);
    const seen: string[] = [];
    let isIndexing = true;
    const look = (): void => {
      const prices = ["model-0000", "model-1500", "model-2999"].map((name) => catalog.price(name)?.usdPerMillion.input);
      seen.push(`version ${catalog.version}, ${catalog.view.models.length} models at ${prices.join(", ")}`);
      if (isIndexing) setImmediate(look);
    };
    setImmediate(look);
    await catalog.refresh();
    isIndexing = false;
    expect(catalog.price("model-2999")?.usdPerMillion.input).toBe(2);
    // A turn for each slice of 256 models, several times over.
    expect(seen.length).toBeGreaterThan(30);
    expect([...new Set(seen)]).toEqual(["version 1, 3000 models at 1, 1, 1"]);
  });

  it("stops looking after close, keeps its view, and leaves no timer behind", async () => {
    const reader = new ScriptedReader(snapshot(1));
    const catalog = open([reader], { bus: new MemoryInvalidationBus() });
    await catalog.ready();
    await settle();
    catalog.close();
    catalog.close();
    expect(await catalog.refresh()).toBe(false);
    expect(clock.pendingTimers).toBe(0);
    expect(catalog.find("a")?.id).toBe("acme/a");
  });

  it("refuses to be made without readers, and with bad durations, by name", () => {
    expect(() => createCatalog({ readers: [] })).toThrow(/readers must name/);
    expect(() => createCatalog({ readers: [new ScriptedReader()], refreshIntervalMs: 0 })).toThrow(/refreshIntervalMs/);
  });
});

describe("CatalogView", () => {
  const sold = (provider: string, model: string, rest: Partial<ModelListing> = {}): ListedModel =>
    listed(listing(model, { input: 1 }, { provider, ...rest }));

  it("finds a model by id, by name and provider, by bare name and by alias, whatever the case", () => {
    const view = new CatalogView(
      1,
      content([sold("openai", "GPT-4o", { aliases: ["gpt-4o-2024-11-20"] }), sold("azure", "gpt-4o"), sold("openrouter", "openai/gpt-4o")]),
    );
    expect(view.find("openai/gpt-4O")?.provider).toBe("openai");
    expect(view.find("gpt-4o", "AZURE")?.provider).toBe("azure");
    expect(view.find("gpt-4o")?.provider).toBe("openai");
    expect(view.find("GPT-4o-2024-11-20")?.model).toBe("GPT-4o");
    expect(view.find("gpt-4o-2024-11-20", "openai")?.model).toBe("GPT-4o");
    expect(view.find("gpt-4o-2024-11-20", "azure")).toBeUndefined();
    expect(view.find("openai/gpt-4o", "openrouter")?.id).toBe("openrouter/openai/gpt-4o");
    expect(view.find("nobody")).toBeUndefined();
  });

  it("is the same view whether it is indexed at once or in slices", async () => {
    const sellers = Array.from({ length: 900 }, (_, index) =>
      sold(`seller-${index % 7}`, `m-${index % 300}`, { aliases: [`alias-${index}`] }),
    );
    const [atOnce, inSlices] = [new CatalogView(3, content(sellers)), await CatalogView.build(3, content(sellers))];
    expect(inSlices.version).toBe(3);
    expect(inSlices.models).toEqual(atOnce.models);
    expect(inSlices.providers).toEqual(atOnce.providers);
    for (const name of ["m-0", "m-299", "alias-0", "alias-899", "seller-3/m-3"]) expect(inSlices.find(name)).toEqual(atOnce.find(name));
    expect(inSlices.modelsOf("seller-3")).toEqual(atOnce.modelsOf("seller-3"));
  });

  it("prefers a seller in the given order, a live model to a vanished one, and a sold name to an alias", () => {
    const models = [
      listed(listing("m", {}, { provider: "first" }), 5),
      sold("second", "m"),
      sold("third", "other", { aliases: ["m", "only"] }),
    ];
    const view = new CatalogView(1, content(models), { preferredProviders: ["first", "third", "second"] });
    expect(view.find("m")?.provider).toBe("second");
    expect(view.find("only")?.provider).toBe("third");
    expect(new CatalogView(1, content([sold("b", "m"), sold("a", "m")])).find("m")?.provider).toBe("a");
    // Names of providers are matched in any case, in the options too.
    expect(new CatalogView(1, content([sold("b", "m"), sold("a", "m")]), { preferredProviders: ["B"] }).find("m")?.provider).toBe("b");
  });

  it("takes for a bare name's price that of who sells it, not the 0 of a plan or the silence of a list whose name comes before", () => {
    const offered = (provider: string, usdPerMillion: ModelListing["usdPerMillion"]): ListedModel =>
      listed(listing("m", usdPerMillion, { provider }));
    const [plan, untold, seller] = [
      offered("a-plan", { input: 0, output: 0 }),
      offered("b-list", {}),
      offered("c-seller", { input: 2, output: 4 }),
    ];
    const view = new CatalogView(1, content([plan, untold, seller]));
    expect(view.price("m")?.usdPerMillion).toEqual({ input: 2, output: 4 });
    expect(view.price("m", "a-plan")?.usdPerMillion, "asked for by name").toEqual({ input: 0, output: 0 });
    // The order that was asked for stands, and who gives it away is the answer where nobody takes anything.
    expect(new CatalogView(1, content([plan, seller]), { preferredProviders: ["a-plan"] }).find("m")?.provider).toBe("a-plan");
    expect(new CatalogView(1, content([plan, untold])).find("m")?.provider).toBe("a-plan");
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("is not confused by a model called %s", (name) => {
    const empty = new CatalogView(1, content([]));
    expect([empty.find(name), empty.price(name), empty.provider(name), empty.modelsOf(name)]).toEqual([
      undefined,
      undefined,
      undefined,
      [],
    ]);
    const view = new CatalogView(1, content([sold(name, name)]));
    expect(view.find(name)?.id).toBe(`${name}/${name}`.toLowerCase());
    expect(view.modelsOf(name.toLowerCase()).length + view.modelsOf(name).length).toBeGreaterThan(0);
  });

  it("fills what the trusted source does not tell from the others, but never mixes prices of two sources", () => {
    const trusted = {
      source: "one",
      models: [listed({ ...listing("m", { input: 1 }), supportedParameters: [] })],
      providers: [],
      endpoints: [],
    };
    const other = {
      source: "two",
      models: [listed({ ...listing("m", { input: 9, cacheRead: 3 }), supportedParameters: ["tools"], outputTokens: 100 })],
      providers: [],
      endpoints: [],
    };
    const model = new CatalogView(1, { layers: [trusted, other], quarantine: [], acceptances: [] }).model("acme/m");
    expect(model).toMatchObject({
      sources: ["one", "two"],
      priceSource: "one",
      usdPerMillion: { input: 1 },
      supportedParameters: ["tools"],
      outputTokens: 100,
    });
    expect(model?.usdPerMillion).toEqual({ input: 1 });
  });

  it("takes name and kind from whoever tells them: a list of ids alone makes no model one of another kind", () => {
    const layer = (source: string, told: ModelListing): SourceLayer => ({ source, models: [listed(told)], providers: [], endpoints: [] });
    const bare = layer("models:acme", { ...listing("m-1", {}), kind: "other", supportedParameters: [] });
    const full = layer("models.dev", { ...listing("m-1"), name: "Model One", kind: "embedding" });
    const seen = (...layers: SourceLayer[]): unknown => {
      const model = new CatalogView(1, { layers, quarantine: [], acceptances: [] }).model("acme/m-1");
      return [model?.name, model?.kind];
    };
    expect(seen(bare, full)).toEqual(["Model One", "embedding"]);
    expect(seen(full, bare)).toEqual(["Model One", "embedding"]);
    expect(seen(bare, bare)).toEqual(["m-1", "other"]);
  });

  it("keeps the trusted source's price while that source misses the model, and takes the other's when it is gone from there", () => {
    const layer = (source: string, models: ListedModel[]): SourceLayer => ({ source, models, providers: [], endpoints: [] });
    const other = layer("two", [listed(listing("m", { input: 9 }))]);
    const seen = (trusted: ListedModel[]): unknown => {
      const layers = [layer("one", trusted), other];
      const model = new CatalogView(1, { layers, quarantine: [], acceptances: [] }).model("acme/m");
      return [model?.usdPerMillion.input, model?.priceSource, model?.status, model?.sources];
    };
    expect(seen([listed(listing("m", { input: 1 }))])).toEqual([1, "one", "live", ["one", "two"]]);
    expect(seen([listed(listing("m", { input: 1 }), 5)])).toEqual([1, "one", "live", ["one", "two"]]);
    expect(seen([])).toEqual([9, "two", "live", ["two"]]);
  });

  describe("the hosts of a model (S4 index)", () => {
    const host = (tag: string, rest: Partial<ModelEndpoint> = {}): ModelEndpoint => ({
      provider: tag.split("/")[0] ?? "",
      tag,
      usdPerMillion: {},
      ...rest,
    });
    const view = (
      endpoints: ReadonlyArray<readonly [string, readonly ModelEndpoint[]]>,
      providers: readonly ProviderRecord[] = [],
      options = {},
    ): CatalogView =>
      new CatalogView(
        1,
        content(
          endpoints.map(([id]) => sold("router", id.slice("router/".length))),
          { endpoints, providers },
        ),
        options,
      );

    it("are the slugs of its endpoints, each once, in any case of the name", () => {
      const made = view([["router/a/m", [host("google-vertex/europe"), host("google-vertex"), host("novita/fp8")]]]);
      expect([...made.hostsOf("A/M", "router")]).toEqual(["google-vertex", "novita"]);
    });

    it("are those of the most trusted source that knows any", () => {
      const layer = (source: string, hosts: readonly ModelEndpoint[]): SourceLayer => ({
        source,
        models: [],
        providers: [],
        endpoints: [["router/m", hosts]],
      });
      const sources = [layer("trusted", [host("azure")]), layer("other", [host("google")])];
      const known = content([sold("router", "m")]);
      expect([...new CatalogView(1, { ...known, layers: [...known.layers, ...sources] }).hostsOf("router/m")]).toEqual(["azure"]);
      const layers = [...known.layers, layer("silent", []), ...sources];
      expect([...new CatalogView(1, { ...known, layers }).hostsOf("router/m")]).toEqual(["azure"]);
    });

    it("are nobody for an unknown model and for one without endpoints", () => {
      expect(view([["router/m", []]]).hostsOf("m").size).toBe(0);
      expect(view([]).hostsOf("unknown").size).toBe(0);
    });

    it("leave out endpoints without a host", () => {
      expect([...view([["router/m", [host(""), host("one")]]]).hostsOf("m")]).toEqual(["one"]);
    });

    it("keep the standard model and its :free variant apart", () => {
      const made = view([
        ["router/a/m", [host("paid-1"), host("paid-2")]],
        ["router/a/m:free", [host("gratis")]],
      ]);
      expect([...made.hostsOf("a/m", "router")]).toEqual(["paid-1", "paid-2"]);
      expect([...made.hostsOf("a/m:free", "router")]).toEqual(["gratis"]);
    });

    it("narrow to the variant's own endpoints, and fall back to all where none is told apart", () => {
      const mixed = [host("one"), host("two", { variant: "thinking" }), host("three", { variant: "free" })];
      const made = view([
        ["router/m:thinking", mixed],
        ["router/m:nitro", mixed],
        ["router/m", mixed],
      ]);
      expect([...made.hostsOf("m:thinking", "router")]).toEqual(["two"]);
      expect([...made.hostsOf("m:nitro", "router")]).toEqual(["one", "two", "three"]);
      expect([...made.hostsOf("m", "router")]).toEqual(["one"]);
    });

    it("collect data only when every one of them trains on it", () => {
      const providers: ProviderRecord[] = [
        { id: "trains", name: "T", trainsOnData: true },
        { id: "trains-too", name: "T2", trainsOnData: true },
        { id: "keeps-quiet", name: "Q", trainsOnData: false },
      ];
      const made = view(
        [
          ["router/all", [host("trains"), host("trains-too")]],
          ["router/some", [host("trains"), host("keeps-quiet")]],
          ["router/unknown", [host("trains"), host("never-heard-of")]],
          ["router/none", []],
        ],
        providers,
      );
      expect(["all", "some", "unknown", "none", "missing"].map((name) => made.collectsData(name, "router"))).toEqual([
        true,
        false,
        false,
        false,
        false,
      ]);
    });

    it("stand for a virtual provider by its members", () => {
      const made = view([["router/m", [host("auto")]]], [], { virtualProviders: { Auto: ["one", "two"] } });
      expect([...made.hostsOf("m", "router")]).toEqual(["one", "two"]);
      expect(made.expandProvider("AUTO")).toEqual(["one", "two"]);
      expect(made.expandProvider("Other")).toEqual(["other"]);
    });

    it("name the members of a virtual one in any case: what they do with data is known by their slugs", () => {
      const providers = [{ id: "one", name: "One", trainsOnData: true }];
      const made = view([["router/m", [host("auto")]]], providers, { virtualProviders: { auto: ["One"] } });
      expect(made.expandProvider("auto")).toEqual(["one"]);
      expect(made.collectsData("m", "router")).toBe(true);
    });
  });
});
