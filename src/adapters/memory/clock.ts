import type { Clock } from "../../ports/clock.js";
import type { Instant } from "../../values/instant.js";

/** Domain time that stands until it is moved: for tests. Real time until any later instant is 0, as if one had just waited. */
export function steppedClock(start: Instant, scale = 1): Clock & { moveTo(at: Instant): void } {
  let current = start;
  return {
    scale,
    now: () => current,
    realMsUntil: (at) => Math.max(0, (at - current) / scale),
    moveTo(at) {
      if (at < current) throw new RangeError("the domain's clock does not go back");
      current = at;
    },
  };
}
