import type { Payload } from "@temporalio/common";

/** A payload as one run of bytes, for codecs: the metadata as JSON behind a 4-byte length, then the data. */
export function packPayload({ metadata, data }: Payload): Buffer {
  const described = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        Object.entries(metadata ?? {}).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
      ),
    ),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(described.length);
  return Buffer.concat([length, described, data ?? new Uint8Array()]);
}

/** The payload that `packPayload` packed. Throws for anything else. */
export function unpackPayload(packed: Buffer): Payload {
  const length = packed.readUInt32BE(0);
  const metadata = JSON.parse(packed.subarray(4, 4 + length).toString()) as Record<string, string>;
  return {
    metadata: Object.fromEntries(
      Object.entries(metadata).map(([key, value]) => [key, new Uint8Array(Buffer.from(value, "base64"))]),
    ),
    data: new Uint8Array(packed.subarray(4 + length)),
  };
}
