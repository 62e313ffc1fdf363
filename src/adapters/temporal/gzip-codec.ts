import { gunzipSync, gzipSync } from "node:zlib";
import type { Payload, PayloadCodec } from "@temporalio/common";
import { METADATA_ENCODING_KEY } from "@temporalio/common";

const ENCODING = "binary/gzip";

/** Smaller payloads gain nothing. */
const COMPRESSED_FROM_BYTES = 1_024;

/** A plan unpacked beyond this is no plan: a guard against a bomb in a history. */
const UNPACKED_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Compresses large payloads, such as the plan that enters each execution's history once. Runs outside the workflow sandbox.
 * Layout: the original metadata as JSON behind a 4-byte length, then the original bytes; the whole gzipped.
 */
export const gzipCodec: PayloadCodec = {
  async encode(payloads) {
    return payloads.map((payload) => {
      const data = payload.data ?? new Uint8Array();
      if (data.length < COMPRESSED_FROM_BYTES) return payload;
      const metadata = Buffer.from(
        JSON.stringify(
          Object.fromEntries(
            Object.entries(payload.metadata ?? {}).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
          ),
        ),
      );
      const length = Buffer.alloc(4);
      length.writeUInt32BE(metadata.length);
      return {
        metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING) },
        data: gzipSync(Buffer.concat([length, metadata, data]), { level: 9 }),
      };
    });
  },
  async decode(payloads) {
    return payloads.map((payload): Payload => {
      const encoding = payload.metadata?.[METADATA_ENCODING_KEY];
      if (encoding === undefined || Buffer.from(encoding).toString() !== ENCODING || payload.data == null)
        return payload;
      const unpacked = gunzipSync(payload.data, { maxOutputLength: UNPACKED_MAX_BYTES });
      const length = unpacked.readUInt32BE(0);
      const metadata = JSON.parse(unpacked.subarray(4, 4 + length).toString()) as Record<string, string>;
      return {
        metadata: Object.fromEntries(
          Object.entries(metadata).map(([key, value]) => [key, new Uint8Array(Buffer.from(value, "base64"))]),
        ),
        data: new Uint8Array(unpacked.subarray(4 + length)),
      };
    });
  },
};
