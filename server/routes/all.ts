/**
 * Every group of routes.
 * @module
 */

import type { Api, House } from "../api.ts";
import { authorityRoutes } from "./authority.ts";
import { evidenceRoutes } from "./evidence.ts";
import { memoryRoutes } from "./memory.ts";
import { processRoutes } from "./process.ts";
import { streamRoutes } from "./stream.ts";
import { systemRoutes } from "./system.ts";
import { tokenRoutes } from "./token.ts";

/** Adds its routes to the application. */
export type AddRoutes = (app: Api, house: House) => void;

/** Every group, in the order of the document. */
export const ROUTES: readonly AddRoutes[] = [
  systemRoutes,
  processRoutes,
  authorityRoutes,
  memoryRoutes,
  evidenceRoutes,
  streamRoutes,
  tokenRoutes,
];
