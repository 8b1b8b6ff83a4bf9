import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compareRequests } from "../../src/explain.ts";
import {
  type CanonicalRequest,
  type ChatField,
  type Endpoint,
  endpoints,
  type FieldRole,
  type FieldRoles,
  fieldRoles,
  readRequest,
} from "../../src/keys.ts";
import { chatBody, keyOf } from "./fixtures.ts";

const openai = new URL("../../../../../shared/openai-openapi/openai-subset.json", import.meta.url);

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

function propertiesOf(schema: Schema, all: Readonly<Record<string, Schema>>): string[] {
  const target = schema.$ref === undefined ? undefined : all[schema.$ref.split("/").pop() as string];
  const parts = [...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(target === undefined ? [] : [target])];
  return [...Object.keys(schema.properties ?? {}), ...parts.flatMap((part) => propertiesOf(part, all))];
}

const isPresent = existsSync(openai);
if (!isPresent) console.warn("skipped: OpenAI's schemas are not beside the repository, so the tables were not held against them");

describe.skipIf(!isPresent)("OpenAI's published schemas", () => {
  const all = isPresent ? (JSON.parse(readFileSync(openai, "utf8")) as { $defs: Record<string, Schema> }).$defs : {};
  const requests: ReadonlyArray<readonly [Endpoint, string]> = [
    ["chat", "CreateChatCompletionRequest"],
    ["completion", "CreateCompletionRequest"],
    ["embedding", "CreateEmbeddingRequest"],
    ["responses", "CreateResponse"],
  ];
  const inFile = requests.filter(([, name]) => all[name] !== undefined);

  test("has at least the requests for chat and embeddings", () => {
    expect(inFile.map(([endpoint]) => endpoint)).toEqual(expect.arrayContaining(["chat", "embedding"]));
  });

  test.each(inFile)("every property of a %s request (%s) is classified", (endpoint, name) => {
    const properties = propertiesOf(all[name] as Schema, all);
    expect(properties.length).toBeGreaterThan(3);
    expect(properties.filter((property) => !Object.hasOwn(fieldRoles[endpoint], property))).toEqual([]);
  });
});

test("a field that nobody has classified is a type error", () => {
  type TomorrowsField = ChatField | "field_of_tomorrow";
  // @ts-expect-error the table has no role for field_of_tomorrow
  const incomplete: FieldRoles<TomorrowsField> = fieldRoles.chat;
  // @ts-expect-error a role for a field that is not known
  const excessive: FieldRoles<"input"> = { input: "answer", typo: "answer" };
  // @ts-expect-error not a role
  const wrong: FieldRoles<"input"> = { input: "maybe" };
  expect([incomplete, excessive, wrong]).toHaveLength(3);
});

test("each endpoint has a table, and each table's fields have a role", () => {
  const roles: readonly FieldRole[] = ["answer", "state", "retention", "transport", "identity", "noise"];
  expect([...endpoints].sort()).toEqual(Object.keys(fieldRoles).sort());
  for (const endpoint of endpoints) for (const role of Object.values<FieldRole>(fieldRoles[endpoint])) expect(roles).toContain(role);
});

// reliability S4; seeds W2.1, W3.5: keys of five fields gave other requests' answers.
describe("a chat key", () => {
  const names = Object.keys(fieldRoles.chat) as ChatField[];
  const key = keyOf(chatBody);

  test("covers in the fixture every field that changes the answer", () => {
    const expected = names.filter((name) => fieldRoles.chat[name] === "answer");
    expect(expected.filter((name) => !Object.hasOwn(chatBody, name))).toEqual([]);
  });

  test.each(names)("changes with %s only when that changes the answer", (name) => {
    const isInKey = fieldRoles.chat[name] === "answer";
    const { [name]: _, ...without } = chatBody as Readonly<Record<string, unknown>>;
    expect(keyOf({ ...chatBody, [name]: { changed: true } }) !== key).toBe(isInKey);
    expect(keyOf({ ...chatBody, [name]: null }) !== key).toBe(isInKey);
    expect(keyOf(without) !== key).toBe(isInKey);
  });

  test.each(["field_of_tomorrow", "constructor", "toString", "stream "])("changes with the unknown field %j", (name) => {
    expect(keyOf({ ...chatBody, [name]: true })).not.toBe(key);
    expect(keyOf({ ...chatBody, [name]: true })).not.toBe(keyOf({ ...chatBody, [name]: false }));
  });

  test("excludes only top-level fields: a tool's own `user` or `stream` counts", () => {
    const withTool = (properties: object) => keyOf({ ...chatBody, tools: [{ function: { parameters: { properties } } }] });
    expect(withTool({ user: { type: "string" } })).not.toBe(withTool({}));
    expect(withTool({ stream: true })).not.toBe(withTool({ stream: false }));
  });
});

test("the role of a field is that of its endpoint", () => {
  const embedding = { model: "m", input: "a" };
  expect(keyOf({ ...embedding, encoding_format: "base64" }, "embedding")).toBe(keyOf(embedding, "embedding"));
  expect(keyOf({ ...embedding, dimensions: 8 }, "embedding")).not.toBe(keyOf(embedding, "embedding"));
  expect(keyOf({ ...embedding, encoding_format: "base64" }, "chat")).not.toBe(keyOf(embedding, "chat"));
  expect(keyOf({ ...embedding, user: "ann" }, "exact")).not.toBe(keyOf(embedding, "exact"));
});

test("names the fields that tie a request to something kept upstream", () => {
  const stateful = (body: Record<string, unknown>, endpoint: Endpoint = "responses") => readRequest(endpoint, body).statefulFields;
  expect(stateful({ model: "m", input: "a", previous_response_id: "r", store: true, background: true })).toEqual([
    "background",
    "previous_response_id",
    "store",
  ]);
  expect(stateful({ model: "m", input: "a", conversation: null, store: false, background: false })).toEqual([]);
  expect(stateful({ model: "m", input: "a" })).toEqual([]);
  expect(stateful({ model: "m", messages: [], store: true }, "chat")).toEqual([]);
  const body = { model: "m", input: "a" };
  expect(keyOf({ ...body, store: true }, "responses")).toBe(keyOf(body, "responses"));
  expect(keyOf({ ...body, conversation: "c" }, "responses")).not.toBe(keyOf(body, "responses"));
});

test("keeps what the upstream was told not to keep apart from what can be gone on from, and says so", () => {
  const [kept, unkept] = [{}, { store: false }].map((more) => readRequest("responses", { model: "m", input: "a", ...more }));
  expect(kept?.keyForm()).not.toBe(unkept?.keyForm());
  expect(unkept?.fields.find(({ name }) => name === "store")?.isInKey).toBe(true);
  const asked = readRequest("responses", { model: "m", input: "a", store: true });
  expect(compareRequests(asked, unkept as CanonicalRequest)).toEqual({
    isSame: false,
    differences: [{ field: "store", path: "store", kind: "different", isInKey: true }],
  });
  expect(keyOf({ model: "m", input: "a", store: null }, "responses")).toBe(keyOf({ model: "m", input: "a" }, "responses"));
});
