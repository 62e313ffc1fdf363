import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { hashFraction, stableHash } from "../../src/values/hash.js";
import { escapeIdPart, unescapeIdPart } from "../../src/values/ids.js";
import { sha256Hex } from "../../src/values/sha256.js";

const HASH_OF_MAIL = "h-b4c9a289323b21a01c3e940f150eb9b8";

describe("escapeIdPart", () => {
  test.each([
    ["c-1", "c-1"],
    ["", ""],
    ["a/b", "a%2Fb"],
    ["100%", "100%25"],
    ["%2F", "%252F"],
    ["tab\tend\n", "tab%09end%0A"],
    ["\u0000\u007f\u0085", "%00%7F%85"],
    ["Łódź ☃ 🚀", "Łódź ☃ 🚀"],
    ["x".repeat(80), "x".repeat(80)],
  ])("%j is %j and back", (text, part) => {
    expect(escapeIdPart(text)).toBe(part);
    expect(unescapeIdPart(part)).toBe(text);
  });

  test.each([
    ["user@example.com", HASH_OF_MAIL],
    ["x".repeat(81), "h-4d1f7bb876c6aae013f06a7430b8c654"],
  ])("%j is hashed and not read back", (text, part) => {
    expect(escapeIdPart(text)).toBe(part);
    expect(unescapeIdPart(part)).toBeUndefined();
  });

  it("hashes what looks like a hash, and half a surrogate pair", () => {
    expect(escapeIdPart(HASH_OF_MAIL)).toMatch(/^h-[0-9a-f]{32}$/);
    expect(escapeIdPart(HASH_OF_MAIL)).not.toBe(HASH_OF_MAIL);
    expect(escapeIdPart("\ud800")).toMatch(/^h-[0-9a-f]{32}$/);
  });

  test.each(["a/b", "%", "%41", "%zz", "a@b", "%2f"])("refuses to read back %j", (part) => {
    expect(() => unescapeIdPart(part)).toThrow(RangeError);
  });

  it("gives different parts to different texts, without slash or control character", () => {
    const aText = fc.string({
      unit: fc.constantFrom("/", "%", "2", "F", "@", "h", "-", "\n", "ł", "\u0085"),
      maxLength: 90,
    });
    fc.assert(
      fc.property(aText, aText, (one, other) => {
        const part = escapeIdPart(one);
        expect(part).not.toMatch(/[/\p{Cc}]/u);
        expect(part === escapeIdPart(other)).toBe(one === other);
        expect([one, undefined]).toContain(unescapeIdPart(part));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("sha256Hex", () => {
  test.each([
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
  ])("of %j is the standard's", (text, expected) => {
    expect(sha256Hex(text)).toBe(expected);
  });

  it("is what Node computes, for any text of any length", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(sha256Hex(text)).toBe(createHash("sha256").update(text, "utf8").digest("hex"));
      }),
      { numRuns: 500 },
    );
    expect(sha256Hex("a\ud800b")).toBe(createHash("sha256").update("a\ud800b", "utf8").digest("hex"));
  });
});

describe("stableHash", () => {
  // Sends are spread by these numbers: they may never change.
  test.each([
    ["", 3338908027751811],
    ["a", 7929297801672961],
    ["b", 8684336938537663],
    ["revenge", 4051478007546757],
    ["revenue", 8309097637345594],
  ])("of %j is %d", (text, expected) => {
    expect(stableHash(text)).toBe(expected);
  });

  it("spreads similar texts evenly", () => {
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const fraction = hashFraction(`run/onboarding/acc-${i}/c-1/1`);
      expect(fraction).toBeGreaterThanOrEqual(0);
      expect(fraction).toBeLessThan(1);
      const bucket = Math.floor(fraction * 10);
      buckets[bucket] = (buckets[bucket] as number) + 1;
    }
    // 1,000 expected, standard deviation 30.
    expect(Math.min(...buckets)).toBeGreaterThan(880);
    expect(Math.max(...buckets)).toBeLessThan(1120);
  });

  it("has no collision among 100,000 similar texts", () => {
    const seen = new Set(Array.from({ length: 100_000 }, (_, i) => stableHash(`acc-${i}`)));
    expect(seen.size).toBe(100_000);
  });
});
