import type { Store } from "../../ports/store.js";
import { postgresCustomers } from "./customers.js";
import type { Database } from "./database.js";
import { postgresDue } from "./due.js";
import { postgresEventsOf } from "./events.js";
import { postgresFacts } from "./facts.js";
import { postgresPlaybooks } from "./playbooks.js";
import { postgresRuns } from "./runs.js";

/** What operations keep things in: one per process, so that plans and configurations are remembered. */
export function postgresStore(database: Database): Store {
  const playbooks = postgresPlaybooks();
  return {
    transaction: database.transaction,
    read: database.read,
    lockAccounts: database.lockAccounts,
    customers: postgresCustomers,
    events: postgresEventsOf(database),
    runs: postgresRuns,
    playbooks,
    due: postgresDue,
    facts: postgresFacts(database, playbooks),
  };
}
