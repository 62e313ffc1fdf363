/** A bucket of requests that fills by itself. */
interface Bucket {
  tokens: number;
  filledAt: number;
}

/** Buckets remembered at most; beyond that the longest idle go, which were full anyway. */
const BUCKETS_MAX = 10_000;

/** A limit for each caller: `perSecond` sustained, `burst` at once. In memory, so each server counts for itself. */
export interface RateLimit {
  /** Takes one; 0 if it may go on, else real seconds (whole, at least 1) until it may. */
  take(caller: string): number;
}

/** @param now monotonic real time in milliseconds */
export function createRateLimit(
  options: { readonly perSecond: number; readonly burst: number },
  now: () => number = () => performance.now(),
): RateLimit {
  const { perSecond, burst } = options;
  const buckets = new Map<string, Bucket>();
  return {
    take(caller) {
      const at = now();
      const known = buckets.get(caller);
      const bucket: Bucket = known ?? { tokens: burst, filledAt: at };
      bucket.tokens = Math.min(burst, bucket.tokens + ((at - bucket.filledAt) / 1000) * perSecond);
      bucket.filledAt = at;
      // Again at the end: the first of the map is then the longest idle.
      if (known !== undefined) buckets.delete(caller);
      buckets.set(caller, bucket);
      if (buckets.size > BUCKETS_MAX) buckets.delete(buckets.keys().next().value as string);
      if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
      bucket.tokens -= 1;
      return 0;
    },
  };
}
