import { gunzipSync, gzipSync } from "node:zlib";
import type { Payload, PayloadCodec } from "@temporalio/common";
import { METADATA_ENCODING_KEY } from "@temporalio/common";
import { packPayload, unpackPayload } from "./packed-payload.js";

const ENCODING = "binary/gzip";

/** Smaller payloads gain nothing. */
const COMPRESSED_FROM_BYTES = 1_024;

/** A plan unpacked beyond this is no plan: a guard against a bomb in a history. */
const UNPACKED_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Compresses large payloads, such as the plan that enters each execution's history once. Runs outside the workflow sandbox.
 * Layout: the packed payload, gzipped.
 */
export const gzipCodec: PayloadCodec = {
  async encode(payloads) {
    return payloads.map((payload) => {
      if ((payload.data?.length ?? 0) < COMPRESSED_FROM_BYTES) return payload;
      return {
        metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING) },
        data: gzipSync(packPayload(payload), { level: 9 }),
      };
    });
  },
  async decode(payloads) {
    return payloads.map((payload): Payload => {
      const encoding = payload.metadata?.[METADATA_ENCODING_KEY];
      if (encoding == null || Buffer.from(encoding).toString() !== ENCODING || payload.data == null) return payload;
      return unpackPayload(gunzipSync(payload.data, { maxOutputLength: UNPACKED_MAX_BYTES }));
    });
  },
};
