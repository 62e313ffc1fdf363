import { randomBytes } from "node:crypto";
import type { Payload } from "@temporalio/common";
import { defaultPayloadConverter } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { PayloadKeyFault, readPayloadKeys } from "../../../src/adapters/temporal/encrypting-codec.js";
import { gzipCodec } from "../../../src/adapters/temporal/gzip-codec.js";
import { payloadCodecs } from "../../../src/adapters/temporal/payload-codecs.js";

const OLD = randomBytes(32).toString("base64");
const NEW = randomBytes(32).toString("base64");
const MARKER = "anna.kowalska@customer.example";

async function encode(text: string | undefined, payloads: Payload[]): Promise<Payload[]> {
  let encoded = payloads;
  for (const codec of payloadCodecs(text === undefined ? [] : readPayloadKeys(text)))
    encoded = await codec.encode(encoded);
  return encoded;
}
async function decode(text: string | undefined, payloads: Payload[]): Promise<Payload[]> {
  let decoded = payloads;
  for (const codec of payloadCodecs(text === undefined ? [] : readPayloadKeys(text)).reverse())
    decoded = await codec.decode(decoded);
  return decoded;
}

const SMALL = { subject: MARKER };
const LARGE = { words: Array.from({ length: 2_000 }, () => MARKER) };
const payloads = (): Payload[] => [SMALL, LARGE, null].map((value) => defaultPayloadConverter.toPayload(value));
const valuesOf = (given: Payload[]): unknown[] =>
  given.map((payload) => defaultPayloadConverter.fromPayload<unknown>(payload));

describe("with a key", () => {
  test("what goes in comes out, and nothing of it stands in what is kept", async () => {
    const encoded = await encode(NEW, payloads());
    for (const { metadata, data } of encoded) {
      expect(Object.keys(metadata ?? {}).sort()).toEqual(["encoding", "encryption-key-id"]);
      expect(Buffer.from(metadata?.["encoding"] ?? []).toString()).toBe("binary/encrypted");
      expect(Buffer.from(data ?? []).toString("latin1")).not.toContain("kowalska");
      expect(Buffer.from(data ?? []).toString("latin1")).not.toContain(NEW);
    }
    expect(valuesOf(await decode(NEW, encoded))).toEqual([SMALL, LARGE, null]);
  });

  test("it is compressed first: 64 kB of one word stay under 1 kB", async () => {
    const [, large] = await encode(NEW, payloads());
    expect(large?.data?.length).toBeLessThan(1_000);
  });

  test("the same twice looks different", async () => {
    const [[one], [two]] = [await encode(NEW, payloads()), await encode(NEW, payloads())];
    expect(Buffer.from(one?.data ?? []).equals(Buffer.from(two?.data ?? []))).toBe(false);
  });

  test("what was written before there was a key is read on", async () => {
    expect(valuesOf(await decode(NEW, await encode(undefined, payloads())))).toEqual([SMALL, LARGE, null]);
  });
});

test("rotation: the first key encrypts, all of them decrypt, and one that was taken out no longer does", async () => {
  const before = await encode(OLD, payloads());
  const after = await encode(`${NEW},${OLD}`, payloads());
  expect(valuesOf(await decode(`${NEW}, ${OLD}`, before))).toEqual([SMALL, LARGE, null]);
  expect(valuesOf(await decode(NEW, after))).toEqual([SMALL, LARGE, null]);
  const [oldId, newId] = [OLD, NEW].map((key) => readPayloadKeys(key)[0]?.id);
  await expect(decode(NEW, before)).rejects.toThrow(
    new PayloadKeyFault(
      `a payload was encrypted with key ${oldId}, which is not in WAYPOST_PAYLOAD_KEY; it has ${newId}. Old keys stay behind the new one until no run needs them`,
    ),
  );
});

test("without any key the fault names the variable", async () => {
  const encoded = await encode(OLD, payloads());
  await expect(decode(undefined, encoded)).rejects.toThrow(
    /was encrypted with key [0-9a-f]{16}, and WAYPOST_PAYLOAD_KEY is not set: every worker, server and command needs it$/,
  );
});

describe("tampered with", () => {
  test("every single bit that is turned, and every cut, is a fault", async () => {
    const [whole] = await encode(NEW, [defaultPayloadConverter.toPayload(SMALL)]);
    const data = Buffer.from(whole?.data ?? []);
    let tried = 0;
    for (let bit = 0; bit < data.length * 8; bit++) {
      const altered = Buffer.from(data);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(decode(NEW, [{ ...whole, data: altered }])).rejects.toThrow(/was altered or cut since$/);
      tried += 1;
    }
    for (let length = 0; length < data.length; length++) {
      await expect(decode(NEW, [{ ...whole, data: data.subarray(0, length) }])).rejects.toThrow(PayloadKeyFault);
      tried += 1;
    }
    expect(tried).toBe(data.length * 9);
  });

  test("another key's id beside it is a fault, whether we have that key or not", async () => {
    const [whole] = await encode(NEW, [defaultPayloadConverter.toPayload(SMALL)]);
    const [old] = readPayloadKeys(OLD);
    const relabelled = (id: string): Payload => ({
      ...whole,
      metadata: { ...whole?.metadata, "encryption-key-id": Buffer.from(id) },
    });
    await expect(decode(`${NEW},${OLD}`, [relabelled(old?.id ?? "")])).rejects.toThrow(PayloadKeyFault);
    await expect(decode(NEW, [relabelled("\u001b[31m<script>")])).rejects.toThrow(
      /^a payload was encrypted with a key without a right id, which is not in/,
    );
    const { "encryption-key-id": _id, ...without } = whole?.metadata ?? {};
    await expect(decode(NEW, [{ ...whole, metadata: without }])).rejects.toThrow(PayloadKeyFault);
  });
});

describe("the variable", () => {
  test.each([
    ["", "nothing"],
    ["hunter2", "a password"],
    [randomBytes(31).toString("base64"), "31 bytes"],
    [randomBytes(33).toString("base64"), "33 bytes"],
    [`${NEW},`, "an empty one behind a comma"],
    [randomBytes(32).toString("hex"), "hexadecimal"],
  ])("%# is refused: %s", (text) => {
    expect(() => readPayloadKeys(text)).toThrow(/^must be 32 random bytes in base64/);
  });
  test("the same key twice is refused", () => {
    expect(() => readPayloadKeys(`${NEW},${NEW}`)).toThrow("must not name a key twice");
  });
});

test("without a key nothing is encrypted, and what is large is compressed", async () => {
  const [small, large] = await encode(undefined, payloads());
  expect(small).toEqual(payloads()[0]);
  expect(large).toEqual((await gzipCodec.encode(payloads()))[1]);
});
