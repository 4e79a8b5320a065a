/**
 * Every group of routes.
 * @module
 */

import type { Api, House } from "../api.ts";
import { auditRoutes } from "./audit.ts";
import { authorityRoutes } from "./authority.ts";
import { carryRoutes } from "./carry.ts";
import { checkpointRoutes } from "./checkpoint.ts";
import { contentRoutes } from "./content.ts";
import { decidedRoutes } from "./decided.ts";
import { evidenceRoutes } from "./evidence.ts";
import { imageRoutes } from "./image.ts";
import { packageRoutes } from "./package.ts";
import { memoryRoutes } from "./memory.ts";
import { nodeRoutes } from "./node.ts";
import { objectRoutes } from "./object.ts";
import { overviewRoutes } from "./overview.ts";
import { pastRoutes } from "./past.ts";
import { positionRoutes } from "./position.ts";
import { processRoutes } from "./process.ts";
import { requestRoutes } from "./request.ts";
import { retentionRoutes } from "./retention.ts";
import { streamRoutes } from "./stream.ts";
import { systemRoutes } from "./system.ts";
import { tokenRoutes } from "./token.ts";
import { toolRoutes } from "./tool.ts";
import { treeRoutes } from "./tree.ts";

/** Adds its routes to the application. */
export type AddRoutes = (app: Api, house: House) => void;

/** Every group, in the order of the document. */
export const ROUTES: readonly AddRoutes[] = [
  systemRoutes,
  nodeRoutes,
  overviewRoutes,
  processRoutes,
  authorityRoutes,
  requestRoutes,
  decidedRoutes,
  memoryRoutes,
  contentRoutes,
  objectRoutes,
  treeRoutes,
  carryRoutes,
  retentionRoutes,
  positionRoutes,
  checkpointRoutes,
  toolRoutes,
  imageRoutes,
  packageRoutes,
  evidenceRoutes,
  auditRoutes,
  pastRoutes,
  streamRoutes,
  tokenRoutes,
];
