/**
 * The memory store keeps what every store keeps.
 * @module
 */

import { MemoryStore } from "../providers/memory_store.ts";
import { testStore } from "./store_conformance.ts";

testStore("MemoryStore", () => new MemoryStore());
