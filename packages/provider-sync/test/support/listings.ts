import type { ModelListing, Source, SourceContext, SourceReading, TokenPrices } from "../../src/index.ts";

/** A listing with the given prices and nothing unusual. */
export function listing(
  model: string,
  usdPerMillion: TokenPrices = { input: 1, output: 2 },
  rest: Partial<ModelListing> = {},
): ModelListing {
  return {
    provider: "acme",
    model,
    name: model,
    kind: "chat",
    usdPerMillion,
    contextTokens: 8192,
    inputModalities: ["text"],
    outputModalities: ["text"],
    supportedParameters: [],
    ...rest,
  };
}

/** `count` listings called `model-0` and on. */
export function listings(count: number, prices?: TokenPrices): ModelListing[] {
  return Array.from({ length: count }, (_, index) => listing(`model-${index}`, prices));
}

/** A source whose answers a test writes. */
export class ScriptedSource implements Source {
  readonly name: string;
  readonly role: "primary" | "ancillary";
  reads = 0;
  /** What the next reads answer, until changed. */
  answer: (context: SourceContext) => SourceReading | Promise<SourceReading>;

  constructor(models: readonly ModelListing[], name = "script", role: "primary" | "ancillary" = "primary") {
    this.name = name;
    this.role = role;
    this.answer = () => ({ models, rejected: [] });
  }

  tell(models: readonly ModelListing[]): void {
    this.answer = () => ({ models, rejected: [] });
  }

  fail(error: Error): void {
    this.answer = () => Promise.reject(error);
  }

  read(context: SourceContext): Promise<SourceReading> {
    this.reads += 1;
    return Promise.resolve().then(() => this.answer(context));
  }
}
