import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Payload, PayloadCodec } from "@temporalio/common";
import { METADATA_ENCODING_KEY } from "@temporalio/common";
import { packPayload, unpackPayload } from "./packed-payload.js";

const ENCODING = "binary/encrypted";
const KEY_ID = "encryption-key-id";

/** AES-256-GCM with a random nonce: NIST SP 800-38D allows 2^32 payloads for one key. */
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** One of `WAYPOST_PAYLOAD_KEY`. */
export interface PayloadKey {
  /** Follows from the key and tells nothing of it: what stands beside each payload. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** A payload can't be read with the keys that this process has, or isn't what was once encrypted. Names the key's id, never a key or content. */
export class PayloadKeyFault extends Error {
  override readonly name = "PayloadKeyFault";
}

/**
 * The keys of `WAYPOST_PAYLOAD_KEY`: one or more, separated by commas, each 32 bytes in base64; the first encrypts, all decrypt.
 * Throws an Error whose message repeats nothing of the text.
 */
export function readPayloadKeys(text: string): readonly PayloadKey[] {
  const keys = text.split(",").map((part) => {
    const encoded = part.trim();
    const bytes = Buffer.from(encoded, "base64");
    if (!/^[A-Za-z0-9+/]{43}=$/.test(encoded) || bytes.length !== KEY_BYTES)
      throw new Error("must be 32 random bytes in base64, or several of these separated by commas, the newest first");
    const id = createHash("sha256").update("waypost payload key").update(bytes).digest("hex").slice(0, 16);
    return { id, bytes };
  });
  if (new Set(keys.map(({ id }) => id)).size < keys.length) throw new Error("must not name a key twice");
  return keys;
}

/**
 * Encrypts every payload with the first of the keys; reads what any of them encrypted, and what was written before there were keys. Without keys
 * it only reads: what isn't encrypted, as it is. Comes after compression: encrypted bytes can't be compressed. Throws `PayloadKeyFault`.
 * Layout: nonce, tag, then the packed payload encrypted; the key's id is authenticated with it.
 */
export function encryptingCodec(keys: readonly PayloadKey[]): PayloadCodec {
  const [newest] = keys;
  return {
    async encode(payloads) {
      return newest === undefined ? payloads : payloads.map((payload) => encrypt(payload, newest));
    },
    async decode(payloads) {
      return payloads.map((payload) => {
        if (textOf(payload, METADATA_ENCODING_KEY) !== ENCODING) return payload;
        const id = textOf(payload, KEY_ID);
        const key = keys.find((one) => one.id === id);
        if (key === undefined) throw new PayloadKeyFault(unknownKey(id, keys));
        return decrypt(payload, key);
      });
    },
  };
}

function encrypt(payload: Payload, { id, bytes }: PayloadKey): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, bytes, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(id));
  const encrypted = Buffer.concat([cipher.update(packPayload(payload)), cipher.final()]);
  return {
    metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) },
    data: Buffer.concat([nonce, cipher.getAuthTag(), encrypted]),
  };
}

function decrypt({ data }: Payload, { id, bytes }: PayloadKey): Payload {
  const given = Buffer.from(data ?? new Uint8Array());
  if (given.length < NONCE_BYTES + TAG_BYTES) throw altered(id);
  const decipher = createDecipheriv(CIPHER, bytes, given.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(id))
    .setAuthTag(given.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  let packed: Buffer;
  try {
    packed = Buffer.concat([decipher.update(given.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    throw altered(id);
  }
  return unpackPayload(packed);
}

function altered(id: string): PayloadKeyFault {
  return new PayloadKeyFault(`a payload that key ${id} encrypted was altered or cut since`);
}

function unknownKey(id: string | undefined, keys: readonly PayloadKey[]): string {
  const named = id !== undefined && /^[0-9a-f]{1,64}$/.test(id) ? `key ${id}` : "a key without a right id";
  return keys.length === 0
    ? `a payload was encrypted with ${named}, and WAYPOST_PAYLOAD_KEY is not set: every worker, server and command needs it`
    : `a payload was encrypted with ${named}, which is not in WAYPOST_PAYLOAD_KEY; it has ${keys.map((key) => key.id).join(", ")}. Old keys stay behind the new one until no run needs them`;
}

function textOf({ metadata }: Payload, name: string): string | undefined {
  const bytes = metadata?.[name];
  return bytes == null ? undefined : Buffer.from(bytes).toString();
}
