/** Everything a worker registers as a workflow. */
export { runPlaybook } from "./run-playbook.js";
