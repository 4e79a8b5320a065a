/**
 * Limits: every queue, payload, depth, count and time is bounded here (G10), units last.
 *
 * Reaching one is `ELIMIT` (or `EAGAIN` for a queue), and names the limit.
 * @module
 */

import { assert } from "./errors.ts";

/** All limits. */
export const LIMITS = {
  // Calls
  callArgumentBytesMax: 2 ** 20,
  callReplyBytesMax: 4 * 2 ** 20,
  callDepthMax: 32,
  callNestingMax: 8,
  callsInFlightPerProcessMax: 32,
  callsPerStepMax: 4_096,
  jsonDepthMax: 64,
  inlineBytesMax: 256,
  // Processes
  processesPerTreeMax: 4_096,
  processDepthMax: 16,
  goalBytesMax: 16_384,
  labelsPerProcessMax: 32,
  stepsInFlightMax: 64,
  toolsPerProcessMax: 512,
  // Authority
  capabilitiesPerProcessMax: 16_384,
  capabilityDepthMax: 16,
  constraintBytesMax: 8_192,
  ruleBytesMax: 1_024,
  resourceSegmentsMax: 64,
  policyRulesMax: 2_048,
  policyBytesMax: 262_144,
  // Memory
  objectBytesMax: 4 * 2 ** 20,
  objectsPerTreeMax: 100_000,
  valuesInMemoryBytesMax: 32 * 2 ** 20,
  objectItemsMax: 1_000_000,
  objectVersionsKeptMax: 1_000,
  valuesCollectedPerLineMax: 1_000,
  namespacesPerTreeMax: 4_096,
  linksPerObjectMax: 1_024,
  findResultsMax: 100,
  typesPerTreeMax: 256,
  // People
  requestsPendingPerTreeMax: 256,
  requestPromptBytesMax: 8_192,
  writePreviewBytesMax: 65_536,
  writePreviewShownCharsMax: 16_384,
  requestExpiryMsDefault: 3_600_000,
  grantExpiryMsDefault: 900_000,
  grantExpiryMsImage: 8 * 3_600_000,
  grantExpiryMsMax: 30 * 86_400_000,
  escalateMsDefault: 900_000,
  callsRecentKept: 128,
  linesMatchedMax: 10_000,
  examplesShownMax: 5,
  requestsDecidedTogetherMax: 100,
  // Messages
  mailboxMessagesMax: 1_024,
  messageBytesMax: 65_536,
  inboxItemsPerTurnMax: 256,
  // Files
  fileBytesMax: 4 * 2 ** 20,
  fileEntriesMax: 10_000,
  pathBytesMax: 4_096,
  // Models
  modelContextBytesMax: 8 * 2 ** 20,
  modelRetriesMax: 4,
  modelRetryMsMax: 60_000,
  modelTimeoutMsDefault: 300_000,
  modelRepairsMax: 3,
  toolResultBytesMax: 65_536,
  // Context
  contextWindowTokensDefault: 100_000,
  contextWindowTokensMin: 64,
  contextWindowTokensMax: 16 * 2 ** 20,
  contextRecallsDefault: 8,
  contextRecallsMax: 64,
  contextPinsMax: 256,
  contextScalePercentMax: 400,
  contextSourcesMax: 20_000,
  contextSourceBytesMax: 32 * 2 ** 20,
  // Hooks
  hooksMax: 32,
  hookAttemptsMax: 10,
  hookRetryMsMax: 600_000,
  hookInFlightMax: 4,
  hookTimeoutMsMax: 60_000,
  // Credentials
  credentialsMax: 64,
  credentialBytesMax: 8_192,
  credentialSecretCharsMin: 8,
  // Log
  batchLinesMax: 16_384,
  snapshotEveryLinesMin: 1_000,
  verifyAtOpenLinesMax: 1_000,
  checkAtOpenBytesMax: 16 * 2 ** 20,
  tailLinesMax: 50_000,
  treesOpenedAtStartMax: 1_000,
  treesIdleKept: 500,
  treesAskingKept: 1_000,
  treeIdleMsMax: 60_000,
  treeDueMsMin: 5_000,
  leaseMsDefault: 30_000,
  sleepMsMax: 366 * 86_400_000,
  waitMsMax: 60_000,
  randomBytesMax: 65_536,
  // Checkpoints
  checkpointsPerTreeMax: 1_000,
  checkpointsAutoKept: 64,
  /** Latest checkpoints of a tree in memory at which its state is known without reading. */
  positionsKeptMax: 16,
  /** Entries of a state that are kept for these, as they were, in all. */
  positionEntriesKeptMax: 8_192,
  changesShownMax: 2_000,
  returnsPerTreeMax: 8,
  // Retention
  retentionDaysMin: 1,
  retentionDaysMax: 36_500,
  retentionLookMs: 10_000,
  retentionTreesPerTurnMax: 16,
  retentionRetryMs: 600_000,
  // Generated tools
  toolSourceBytesMax: 65_536,
  toolSchemaBytesMax: 16_384,
  toolRightsMax: 64,
  toolTestsMax: 64,
  toolTestShownCharsMax: 1_000,
  toolTestBytesMax: 262_144,
  toolVersionsPerTreeMax: 1_024,
  toolProblemsShownMax: 20,
  toolCheckMsMax: 10_000,
  cagesMax: 6,
  cagesWarmMax: 2,
  cageIdleMsMax: 60_000,
  cageFrameBytesMax: 8 * 2 ** 20,
  cageStartMsMax: 10_000,
  cageErrorBytesMax: 2_048,
  // Servers of tools
  mcpServersMax: 32,
  mcpToolsPerServerMax: 256,
  mcpToolNameCharsMax: 64,
  mcpDescriptionCharsMax: 2_048,
  mcpDefinitionBytesMax: 65_536,
  mcpResourceCharsMax: 1_024,
  mcpBoundMax: 64,
  mcpPagesMax: 32,
  mcpReadablesMax: 512,
  mcpFrameBytesMax: 8 * 2 ** 20,
  mcpIdleFramesMax: 20_000,
  mcpIdleBytesMax: 32 * 2 ** 20,
  mcpErrorBytesMax: 2_048,
  mcpResultBytesMax: 512 * 2 ** 10,
  mcpResultPartsMax: 256,
  mcpQuestionsPerCallMax: 16,
  mcpQuestionCharsMax: 2_000,
  mcpCallsInFlightMax: 16,
  mcpStartMsMax: 30_000,
  mcpProbeMsMax: 5_000,
  mcpCallMsDefault: 60_000,
  mcpCallMsMax: 900_000,
  mcpRestartMsMin: 500,
  mcpRestartMsMax: 60_000,
  mcpRestartsMax: 12,
  mcpLockBytesMax: 16 * 2 ** 20,
  // Confined programs
  confineMountsMax: 512,
  confineReadyMsMax: 10_000,
  confineTmpBytesMax: 64 * 2 ** 20,
  confineLookMs: 20,
  confineGoneMsMax: 5_000,
  // Server
  imagesMadeMax: 1_000,
  tokensMax: 1_000,
  tokenMsMax: 10 * 365 * 86_400_000,
  sessionsMax: 1_000,
  sessionMsMax: 12 * 3_600_000,
  sessionLinkMsMax: 300_000,
  httpBodyBytesMax: 2 * 2 ** 20,
  httpBodyMsMax: 10_000,
  httpUrlBytesMax: 8_192,
  httpCloseMsMax: 5_000,
  httpListenAgainMs: 100,
  httpRequestsPerSecond: 100,
  httpRequestsBurst: 400,
  httpFailuresPerMinute: 30,
  httpCallersKept: 10_000,
  httpKeysKept: 200,
  httpKeyMsMax: 86_400_000,
  httpWaitMsMax: 60_000,
  httpWaitsPerPrincipalMax: 256,
  streamsMax: 256,
  streamsPerPrincipalMax: 32,
  streamQueueBytesMax: 512 * 2 ** 10,
  streamLookMs: 1_000,
  glancesKept: 2_048,
  glanceLinesMax: 256,
  timelineLinesMax: 20_000,
  revealNoteMs: 60_000,
  revealsKept: 4_096,
  streamBeatMs: 15_000,
  feedEventsKept: 10_000,
} as const;

/** What one run of a generated tool may use, unless its registration says more. */
export const CAGE_LIMITS = {
  argumentBytes: 2 ** 20,
  replyBytes: 5 * 2 ** 20,
  resultBytes: 2 ** 20,
  logBytes: 65_536,
  jsonDepth: 64,
  callsOutstanding: 32,
  calls: 1_000,
  timers: 64,
  wallMs: 10_000,
  cpuMs: 10_000,
  memoryBytes: 192 * 2 ** 20,
} as const;

/** What a capability may raise a run's limits to. */
export const CAGE_LIMITS_MAX = {
  argumentBytes: 2 ** 20,
  replyBytes: 5 * 2 ** 20,
  resultBytes: 4 * 2 ** 20,
  logBytes: 2 ** 20,
  jsonDepth: 64,
  callsOutstanding: 32,
  calls: 4_000,
  timers: 1_024,
  wallMs: 900_000,
  cpuMs: 600_000,
  memoryBytes: 2 ** 30,
} as const;

assert(LIMITS.callArgumentBytesMax <= LIMITS.objectBytesMax, "An object holds less than one call");
assert(LIMITS.objectBytesMax < LIMITS.valuesInMemoryBytesMax, "An object fills the cache");
assert(LIMITS.inlineBytesMax < LIMITS.callArgumentBytesMax, "No argument would ever be a payload");
assert(LIMITS.toolResultBytesMax < LIMITS.modelContextBytesMax, "One result fills a context");
assert(2 * LIMITS.processesPerTreeMax < LIMITS.batchLinesMax, "A full tree cannot be ended");
assert(LIMITS.snapshotEveryLinesMin < LIMITS.tailLinesMax, "A tail would end before its snapshot");
assert(
  LIMITS.grantExpiryMsDefault <= LIMITS.grantExpiryMsMax,
  "The default grant outlives the max",
);
