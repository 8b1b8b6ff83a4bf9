import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addMember, setMember } from "./rewrite-body.ts";

describe("setMember", () => {
  it("changes one member of any object, and no other byte's meaning", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.string(),
        fc.jsonValue(),
        fc.constantFrom(undefined, 1),
        (object, name, value, indent) => {
          fc.pre(name !== "__proto__" && !("__proto__" in object));
          const rewritten = setMember(Buffer.from(JSON.stringify(object, undefined, indent)), name, value);
          expect(JSON.parse(rewritten.toString())).toEqual(JSON.parse(JSON.stringify({ ...object, [name]: value })));
        },
      ),
    );
  });

  it("leaves numbers beyond double precision as they are written", () => {
    const body = Buffer.from('{"seed":9007199254740993,"model":"a","nested":{"model":"b"}}');
    expect(setMember(body, "model", "c").toString()).toBe('{"seed":9007199254740993,"model":"c","nested":{"model":"b"}}');
  });
});

describe("addMember", () => {
  it("adds one member to any object that lacks it, as setMember does", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), fc.constantFrom(undefined, 1), (object, value, indent) => {
        fc.pre(!("added" in object) && !("__proto__" in object));
        const bytes = Buffer.from(JSON.stringify(object, undefined, indent));
        expect(addMember(bytes, "added", value)).toEqual(setMember(bytes, "added", value));
      }),
    );
  });
});
