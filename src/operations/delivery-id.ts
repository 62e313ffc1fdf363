import { createHash } from "node:crypto";

/** Any uuid, drawn once: the namespace of Waypost's deliveries. Changing it would make every delivery a new one. */
const NAMESPACE = Buffer.from("6d6f0f5c3c0b4b61a3c85a6c6f1f2e57", "hex");

/** The id of a delivery: uuidv5 (RFC 9562, 5.5) of its ledger key. In the Message-ID and in Slack's metadata, so nothing personal can be read from it. */
export function deliveryId(key: string): string {
  const bytes = createHash("sha1").update(NAMESPACE).update(key, "utf8").digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
