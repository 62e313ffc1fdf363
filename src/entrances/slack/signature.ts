import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export type SignatureVerdict =
  /** `id`: SHA-256 of the signature: what a repeated request is known by. */
  { readonly ok: true; readonly id: string } | { readonly ok: false; readonly reason: string };

/** How far a request's time may be from ours, either way. Slack's advice; Bolt itself takes requests from an hour ahead. */
export const MAX_AGE_SECONDS = 300;

/**
 * Whether the request was signed by Slack, and lately. `now`: epoch milliseconds, real time. Source: docs.slack.dev, "Verifying
 * requests from Slack".
 */
export function checkSignature(
  signingSecret: string,
  request: { readonly timestamp: string | undefined; readonly signature: string | undefined; readonly body: Buffer },
  now: number,
): SignatureVerdict {
  const { timestamp, signature, body } = request;
  if (timestamp === undefined || !/^\d{1,12}$/.test(timestamp)) return { ok: false, reason: "no timestamp" };
  if (signature === undefined || !/^v0=[0-9a-f]{64}$/.test(signature)) return { ok: false, reason: "no signature" };
  if (Math.abs(now / 1_000 - Number(timestamp)) > MAX_AGE_SECONDS)
    return { ok: false, reason: "the timestamp is more than five minutes from now" };
  const expected = createHmac("sha256", signingSecret).update(`v0:${timestamp}:`).update(body).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature.slice(3), "hex")))
    return { ok: false, reason: "wrong signature" };
  return { ok: true, id: createHash("sha256").update(signature).digest("hex") };
}
