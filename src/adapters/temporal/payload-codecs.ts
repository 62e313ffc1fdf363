import type { PayloadCodec } from "@temporalio/common";
import { encryptingCodec, type PayloadKey } from "./encrypting-codec.js";
import { gzipCodec } from "./gzip-codec.js";

/** What payloads go through on their way to Temporal, in this order, and back: the same in every worker, server and command of an installation. */
export function payloadCodecs(keys: readonly PayloadKey[] = []): PayloadCodec[] {
  return [gzipCodec, encryptingCodec(keys)];
}
