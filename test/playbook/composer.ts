import { createMailComposer } from "../../src/adapters/email/compose.js";

/** Fills in texts as a worker does, for a company of the tests. */
export const composer = createMailComposer({
  domain: "waypost.example",
  publicUrl: "https://waypost.example",
});
