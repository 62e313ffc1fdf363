import type { Store } from "../../ports/store.js";
import type { Tx } from "../../ports/transactions.js";
import { postgresCustomers } from "./customers.js";
import type { Database } from "./database.js";
import { postgresDue } from "./due.js";
import { postgresEventsOf } from "./events.js";
import { postgresFacts } from "./facts.js";
import { postgresPlaybooks } from "./playbooks.js";
import { postgresRuns } from "./runs.js";

/**
 * What operations keep things in: one per process, so that plans and configurations are remembered.
 *
 * @param onEvents called behind each commit that has brought events
 */
export function postgresStore(database: Database, onEvents: () => void = () => {}): Store {
  const playbooks = postgresPlaybooks();
  const events = postgresEventsOf(database);
  const withEvents = new WeakSet<Tx>();
  return {
    async transaction(work) {
      let last: Tx | undefined;
      const result = await database.transaction((tx) => {
        last = tx;
        return work(tx);
      });
      if (last !== undefined && withEvents.has(last)) onEvents();
      return result;
    },
    read: database.read,
    lockAccounts: database.lockAccounts,
    customers: postgresCustomers,
    events: {
      ...events,
      async append(tx, list, receivedAt) {
        const added = await events.append(tx, list, receivedAt);
        if (added.size > 0) withEvents.add(tx);
        return added;
      },
    },
    runs: postgresRuns,
    playbooks,
    due: postgresDue,
    facts: postgresFacts(database, playbooks),
  };
}
