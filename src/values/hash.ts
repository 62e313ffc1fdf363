/**
 * A whole number in [0, 2^53) that depends on `text` alone: the same on every machine and release, since sends are spread by it and a change would
 * move them. Not for security. Source: cyrb53 by bryc (public domain), over UTF-16 units.
 */
export function stableHash(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
}

/** `stableHash` as a share in [0, 1), evenly spread. */
export function hashFraction(text: string): number {
  return stableHash(text) / 2 ** 53;
}
