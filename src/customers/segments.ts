import { references } from "../expression/references.js";
import type { Segments } from "./model.js";

/** Every fact that any of the segments mentions, each once. */
export function segmentFacts(segments: Segments): string[] {
  return [...new Set(Object.values(segments).flatMap((segment) => references(segment.if)))].sort();
}
