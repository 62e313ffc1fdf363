import type { Instant } from "../values/instant.js";

/**
 * Domain time. With `scale` 1 it is real time; above, domain time runs `scale` times as fast from an origin that every
 * process of the installation is given (`WAYPOST_CLOCK`). Transport time (leases, backoff, signatures) never asks it.
 */
export interface Clock {
  readonly scale: number;
  /** Domain time now. */
  now(): Instant;
  /** Real milliseconds from now until the domain reaches `at`; 0 if it has. */
  realMsUntil(at: Instant): number;
}

/** What a process or a run is given to have the same domain time as all others: plain JSON. */
export interface ClockSetting {
  readonly scale: number;
  /** At real instant `realOrigin` it is `domainOrigin` in the domain. Both ignored with scale 1. */
  readonly realOrigin: Instant;
  readonly domainOrigin: Instant;
  /** True: domain time is an order, too (`ports/order.ts`). Only above scale 1. */
  readonly ordered?: boolean | undefined;
  /** Domain time stands still from here on, and what is late catches up. Only above scale 1. */
  readonly until?: Instant | undefined;
}
