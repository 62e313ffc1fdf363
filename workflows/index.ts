/** Everything a worker registers as a workflow. */
export { runPlaybook } from "./run-playbook.js";
export { sweepAccounts } from "./sweep-accounts.js";
