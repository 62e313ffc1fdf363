/** Every bound of the machine, with its reason. */

/** Events kept for waits that may come (`since: start`). A subject with more than this many of the listened-to kinds in one run is a feed, not a story. */
export const KEPT_EVENTS_MAX = 200;

/** Ids of events taken in, for dropping repeats: the dispatcher repeats within minutes, not after a thousand others. */
export const SEEN_EVENTS_MAX = 1_000;

/** Transitions without a wait or an effect in one `advance`: more is a plan that goes round in circles. */
export const TRANSITIONS_MAX = 10_000;

/** Events of which nothing came, kept in the inbox in case that an earlier one turns up: those of a busy second, not of a feed. */
export const TENTATIVE_EVENTS_MAX = 50;

/**
 * What a stretch may log; then it is written, and the next one goes on. Of a run that was left alone for days with a `repeat` of seconds it would be more than a
 * history event can hold (2 MB), and it would be told as a whole or not at all.
 */
export const STRETCH_LOG_MAX = 1_000;
