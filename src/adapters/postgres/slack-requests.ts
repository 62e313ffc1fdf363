import { and, asc, eq, gte, isNull, lt } from "drizzle-orm";
import type { SlackRequestLog } from "../../ports/slack-request-log.js";
import { type Database, inside } from "./database.js";
import { slackRequests } from "./schema.js";

/** Slack's requests in the table `slack_requests`, each statement a transaction of its own. */
export function postgresSlackRequests(database: Database): SlackRequestLog {
  return {
    keep: (request) =>
      database.transaction(async (tx) => {
        const kept = await inside(tx)
          .insert(slackRequests)
          .values(request)
          .onConflictDoNothing()
          .returning({ id: slackRequests.id });
        return kept.length > 0;
      }),
    handled: (id, at) =>
      database.transaction(async (tx) => {
        await inside(tx)
          .update(slackRequests)
          .set({ handledAt: at })
          .where(and(eq(slackRequests.id, id), isNull(slackRequests.handledAt)));
      }),
    unhandled: (since, until, limit) =>
      database.read((tx) =>
        inside(tx)
          .select({
            id: slackRequests.id,
            kind: slackRequests.kind,
            payload: slackRequests.payload,
            receivedAt: slackRequests.receivedAt,
          })
          .from(slackRequests)
          .where(
            and(
              gte(slackRequests.receivedAt, since),
              lt(slackRequests.receivedAt, until),
              isNull(slackRequests.handledAt),
            ),
          )
          .orderBy(asc(slackRequests.receivedAt), asc(slackRequests.id))
          .limit(limit),
      ),
    forget: (before) =>
      database.transaction(async (tx) => {
        const gone = await inside(tx)
          .delete(slackRequests)
          .where(lt(slackRequests.receivedAt, before))
          .returning({ id: slackRequests.id });
        return gone.length;
      }),
  };
}
