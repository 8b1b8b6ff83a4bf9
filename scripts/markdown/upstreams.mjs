// Loaded before a page's program (`node --import`): openrouter.ai and models.dev answer from here, so that what a page shows of provider-sync
// runs unchanged and without the network. Bodies have the upstreams' shape and units, a few real names, and models enough for a list.

const FILLERS = 200;
const named = [
  { id: "openai/gpt-4o", provider: "openai", input: 2.5, output: 10, context: 128_000 },
  { id: "anthropic/claude-opus-4.7", provider: "anthropic", input: 5, output: 25, context: 1_000_000 },
];
const fillers = Array.from({ length: FILLERS }, (_, at) => ({
  id: `acme/model-${at}`,
  provider: "acme",
  input: 1,
  output: 2,
  context: 8_192,
}));
const models = [...named, ...fillers];

/** Dollars per token, in strings. */
const openRouter = () => ({
  data: models.map(({ id, input, output, context }) => ({
    id,
    name: id,
    context_length: context,
    pricing: { prompt: (input / 1e6).toFixed(9), completion: (output / 1e6).toFixed(9) },
  })),
});

/** Dollars per million tokens, in numbers, below each provider; names without the provider's prefix. */
const modelsDev = () => {
  const providers = {};
  for (const { id, provider, input, output, context } of models) {
    providers[provider] ??= { id: provider, name: provider, models: {} };
    const model = id.slice(provider.length + 1);
    providers[provider].models[model] = { id: model, name: model, cost: { input, output }, limit: { context, output: 4_096 } };
  }
  return providers;
};

const BODIES = { "https://openrouter.ai/api/v1/models": openRouter, "https://models.dev/api.json": modelsDev };

const realFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  const body = BODIES[url];
  return body ? Response.json(body()) : realFetch(input, init);
};
