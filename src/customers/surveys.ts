import { DAY_MS, type Instant } from "../values/instant.js";

export interface SurveyAnswer {
  readonly id: string;
  readonly at: Instant;
  /** Absent: nobody knows who; every such answer is a person of its own. */
  readonly contactId?: string | undefined;
  readonly score: number;
}

/** How long an answer counts: 180 days of 24 hours. */
export const SURVEY_WINDOW_MS = 180 * DAY_MS;

/**
 * NPS: the percentage of 9 and 10 minus that of 0 to 6, −100..100, over the latest answer of each person in
 * (asOf − window, asOf]; 7 and 8 count below the line only. Undefined without an answer. `count` belongs beside it.
 */
export function nps(
  answers: readonly SurveyAnswer[],
  asOf: Instant,
): { readonly nps: number; readonly count: number; readonly at: Instant } | undefined {
  const latest = new Map<string, SurveyAnswer>();
  for (const answer of inWindow(answers, asOf)) {
    latest.set(answer.contactId === undefined ? `answer ${answer.id}` : `contact ${answer.contactId}`, answer);
  }
  const counted = [...latest.values()];
  const last = counted.reduce((at, answer) => Math.max(at, answer.at), -Infinity);
  if (counted.length === 0) return undefined;
  const promoters = counted.filter(({ score }) => score >= 9).length;
  const detractors = counted.filter(({ score }) => score <= 6).length;
  return { nps: ((promoters - detractors) * 100) / counted.length, count: counted.length, at: last };
}

/** One person's latest NPS answer, 0..10, however old; undefined if there is none. */
export function latestScore(answers: readonly SurveyAnswer[], contactId: string, asOf: Instant): number | undefined {
  const own = answers.filter((answer) => answer.contactId === contactId && answer.at <= asOf);
  return own.sort(byAge).at(-1)?.score;
}

/** CSAT: the share, 0..1, of 4 and 5 among all answers of the window on the scale 1..5. Undefined without one. */
export function csat(answers: readonly SurveyAnswer[], asOf: Instant): number | undefined {
  return shareOf(inWindow(answers, asOf), (score) => score >= 4);
}

/** CES: the share, 0..1, above 4 of the scale 1..7, where 7 is the least effort. Undefined without an answer. */
export function ces(answers: readonly SurveyAnswer[], asOf: Instant): number | undefined {
  return shareOf(inWindow(answers, asOf), (score) => score > 4);
}

/** Oldest first. */
function inWindow(answers: readonly SurveyAnswer[], asOf: Instant): SurveyAnswer[] {
  return answers.filter(({ at }) => at <= asOf && at > asOf - SURVEY_WINDOW_MS).sort(byAge);
}

function byAge(a: SurveyAnswer, b: SurveyAnswer): number {
  return a.at - b.at || (a.id < b.id ? -1 : 1);
}

function shareOf(answers: readonly SurveyAnswer[], counts: (score: number) => boolean): number | undefined {
  return answers.length === 0 ? undefined : answers.filter(({ score }) => counts(score)).length / answers.length;
}
