import type { Clock, ClockSetting } from "../ports/clock.js";
import type { Instant } from "../values/instant.js";

/** The setting of an installation that lives in real time. */
export const REAL_TIME: ClockSetting = { scale: 1, realOrigin: 0, domainOrigin: 0 };

/** Domain time of a setting: with scale 1 the machine's clock, above as many times as fast from the common origin. */
export function systemClock(setting: ClockSetting = REAL_TIME, realNow: () => Instant = Date.now): Clock {
  const { scale, realOrigin, domainOrigin, until = Number.POSITIVE_INFINITY } = setting;
  if (scale === 1) return { scale, now: realNow, realMsUntil: (at) => Math.max(0, at - realNow()) };
  const now = (): Instant => Math.min(until, Math.floor(domainOrigin + (realNow() - realOrigin) * scale));
  return { scale, now, realMsUntil: (at) => Math.max(0, Math.ceil((at - now()) / scale)) };
}
