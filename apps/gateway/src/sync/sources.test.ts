import { expect, test } from "vitest";
import { SettingsError } from "../config/read-settings.ts";
import { openSources } from "./sources.ts";

test("opens what is named, at the addresses that are given", () => {
  expect(openSources(["litellm", "mine=https://mine.example/v1"]).map(({ name }) => name)).toEqual(["litellm", "models:mine"]);
});

test("reads an address in any case of its scheme as one, not as a file's name", () => {
  expect(openSources(["mine=HTTPS://mine.example/v1"])[0]).toMatchObject({ name: "models:mine" });
  expect(() => openSources(["litellm=HTTP://user@mine.example/"])).toThrow("user");
});

test.each([
  ["an unknown source", ["mine"]],
  ["an empty address", ["litellm="]],
  ["an address that cannot be read", ["litellm=https://"]],
  ["an address that cannot be read", ["mine=http://mine.example:port/v1"]],
  ["a source that cannot be asked: url must be a URL such as https", ["openrouter=ftp://canary.example/models"]],
  ["a source that cannot be asked: url must not hold a user", ["litellm=https://user:canary@mine.example/prices"]],
  ["a source that cannot be asked: provider must be a short name", ["canary/b=https://mine.example/v1"]],
  ["none, which switches sync off, beside sources", ["none", "openrouter"]],
  ["the source litellm twice", ["litellm", "litellm=https://mine.example/prices"]],
])("refuses %s, by the setting's name", (what, names) => {
  expect(() => openSources(names)).toThrow(new RegExp(`LARDER_SYNC_SOURCES .*${what}`));
  expect(() => openSources(names)).not.toThrow("canary");
  expect(() => openSources(names)).toThrow(SettingsError);
});

const askedBy = async (sources: ReturnType<typeof openSources>): Promise<Array<Readonly<Record<string, string>> | undefined>> => {
  const asked: Array<Readonly<Record<string, string>> | undefined> = [];
  const getJson = async (_url: string, request?: { readonly headers?: Readonly<Record<string, string>> }): Promise<unknown> => {
    asked.push(request?.headers);
    return { data: [] };
  };
  for (const source of sources) await source.read({ primaries: new Map(), signal: new AbortController().signal, getJson });
  return asked;
};

test("gives a list the key that its own variable holds, and no other's", async () => {
  const environment = { LARDER_SYNC_KEY_MY_SERVER: " key-of-mine ", LARDER_SYNC_KEY_OPENROUTER: "key-of-theirs" };
  const sources = openSources(["my.server=https://mine.example/v1", "openrouter", "vercel"], environment);
  expect(await askedBy(sources)).toEqual([{ authorization: "Bearer key-of-mine" }, { authorization: "Bearer key-of-theirs" }, {}]);
});

test.each(["", " ", '"canary"', "two canaries"])("refuses %j for a key, by its variable's name and without repeating it", (text) => {
  const open = () => openSources(["mine=https://mine.example/v1"], { LARDER_SYNC_KEY_MINE: text });
  expect(open).toThrow("LARDER_SYNC_KEY_MINE must hold a source's key");
  expect(open).not.toThrow("canar");
  expect(() => openSources(["litellm"], { LARDER_SYNC_KEY_MINE: text }), "a source that is not named").not.toThrow();
});
