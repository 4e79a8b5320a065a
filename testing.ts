/**
 * For tests: models that follow a script, a virtual clock, chance from a seed, people with answers
 * ready, a store in memory.
 * @module
 */

export { VirtualClock } from "./providers/clock.ts";
export { MemoryStore } from "./providers/memory_store.ts";
export {
  type MemoryTape,
  memoryTape,
  recordModel,
  replayModel,
  type Tape,
} from "./providers/models/recorded.ts";
export {
  type ScriptedCall,
  type ScriptedFailure,
  type ScriptedModel,
  scriptedModel,
  type ScriptedTurn,
} from "./providers/models/scripted.ts";
export { ScriptedPerson } from "./providers/person.ts";
export { SeededRandom } from "./providers/random.ts";
