/**
 * What the HTTP API sends and takes. Generated from its document by `deno task generate`; do not
 * edit. `/openapi.json` says the same to other languages.
 * @module
 */

/** `Bar` of the API's document. */
export interface Bar {
  /** Lane. */
  readonly lane: "model" | "syscalls" | "tools" | "people" | "children";
  /** Seq. */
  readonly seq: number;
  /** Name. */
  readonly name: string;
  /** Resource. */
  readonly resource: string;
  /** From. */
  readonly from: string;
  /** To. */
  readonly to: string | null;
  /** Decision. */
  readonly decision: "allow" | "ask" | "deny";
  /** Ok. */
  readonly ok: boolean | null;
}

/** `Budget` of the API's document. */
export interface Budget {
  /** Pid. */
  readonly pid: string;
  /** Spent. */
  readonly spent: {
    readonly modelCalls?: number;
    readonly tokens?: number;
    readonly usd?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    readonly wallMs?: number;
    readonly bytes?: number;
  };
  /** Limits. */
  readonly limits: {
    readonly modelCalls?: number;
    readonly tokens?: number;
    readonly usd?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    readonly wallMs?: number;
    readonly bytes?: number;
  };
  /** Nearest. */
  readonly nearest: readonly ({
    readonly kind: string;
    readonly pid: string;
    readonly limit: number;
    readonly spent: number;
    readonly left: number;
  })[];
}

/** `BudgetPage` of the API's document. */
export interface BudgetPage {
  /** Items. */
  readonly items: readonly (BudgetRow)[];
  /** Next. */
  readonly next: string | null;
}

/** `BudgetRow` of the API's document. */
export type BudgetRow =
  & (Budget)
  & ({
    readonly parent: string | null;
    readonly image: string;
    readonly goal: string;
    readonly ended: boolean;
  });

/** `Call` of the API's document. */
export interface Call {
  /** Tree. */
  readonly tree: string;
  /** Seq. */
  readonly seq: number;
  /** Pid. */
  readonly pid: string;
  /** Call. */
  readonly call: string;
  /** Name. */
  readonly name: string;
  /** Resource. */
  readonly resource: string;
  /** Revealed. */
  readonly revealed: boolean;
  /** Any JSON */
  readonly args?: unknown;
  /** Any JSON */
  readonly result?: unknown;
  /** Ok. */
  readonly ok: boolean | null;
  /** Code. */
  readonly code: string | null;
  /** Decision. */
  readonly decision: "allow" | "ask" | "deny";
  /** Caps. */
  readonly caps: readonly (string)[];
  /** Rule. */
  readonly rule: string | null;
  /** At. */
  readonly at: string;
  /** Ms. */
  readonly ms: number | null;
}

/** `CallStory` of the API's document. */
export interface CallStory {
  /** Tree. */
  readonly tree: string;
  /** Seq. */
  readonly seq: number;
  /** Pid. */
  readonly pid: string;
  /** Call. */
  readonly call: string;
  /** Name. */
  readonly name: string;
  /** Resource. */
  readonly resource: string;
  /** Decision. */
  readonly decision: "allow" | "ask" | "deny";
  /** Rule. */
  readonly rule: string | null;
  /** Chain. */
  readonly chain: readonly ({
    readonly id: string;
    readonly via: string;
    readonly by: string;
  })[];
  /** Request. */
  readonly request: string | null;
  /** Story. */
  readonly story: readonly (string)[];
}

/** `Capability` of the API's document. */
export interface Capability {
  /** Id. */
  readonly id: string;
  /** Tree. */
  readonly tree: string;
  /** Subject. */
  readonly subject: string;
  /** Right. */
  readonly right: string;
  /** Resource. */
  readonly resource: string;
  /** Scope. */
  readonly scope: "process" | "subtree" | "image";
  /** Parent. */
  readonly parent: string | null;
  /** Depth. */
  readonly depth: number;
  /** Constraint. */
  readonly constraint: { readonly [key: string]: unknown } | null;
  /** Uses max. */
  readonly usesMax: number | null;
  /** Uses spent. */
  readonly usesSpent: number;
  /** Expires at. */
  readonly expiresAt: string | null;
  /** Delegable. */
  readonly delegable: boolean;
  /** Via. */
  readonly via: "boot" | "spawn" | "delegate" | "approval" | "operator";
  /** By. */
  readonly by: string;
  /** Request. */
  readonly request: string | null;
  /** Bound. */
  readonly bound: boolean;
  /** Given at. */
  readonly givenAt: string;
  /** Below. */
  readonly below: {
    readonly capabilities: number;
    readonly processes: number;
  };
  /** Used. */
  readonly used: {
    readonly calls: number;
    readonly lastAt: string | null;
  } | null;
}

/** `CapabilityPage` of the API's document. */
export interface CapabilityPage {
  /** Items. */
  readonly items: readonly (Capability)[];
  /** Next. */
  readonly next: string | null;
}

/** `Changes` of the API's document. */
export interface Changes {
  /** From. */
  readonly from: number;
  /** To. */
  readonly to: number;
  /** Items. */
  readonly items: readonly ({
    readonly part: string;
    readonly id: string;
    readonly change: "added" | "removed" | "changed";
    readonly fields: readonly (string)[];
    readonly was: string | null;
    readonly is: string | null;
  })[];
}

/** `Checked` of the API's document. */
export interface Checked {
  /** Tree. */
  readonly tree: string | null;
  /** Ok. */
  readonly ok: boolean;
  /** Lines. */
  readonly lines: number;
  /** Head. */
  readonly head: string;
  /** Erased. */
  readonly erased: number;
  /** Broken. */
  readonly broken: string | null;
  /** Line. */
  readonly line: number | null;
  /** Any JSON */
  readonly seals?: unknown;
}

/** `CheckedList` of the API's document. */
export interface CheckedList {
  /** Items. */
  readonly items: readonly (Checked)[];
}

/** `Checkpoint` of the API's document. */
export interface Checkpoint {
  /** Id. */
  readonly id: string;
  /** Tree. */
  readonly tree: string;
  /** Name. */
  readonly name: string;
  /** By. */
  readonly by: string;
  /** Auto. */
  readonly auto: "ask" | "destructive" | null;
  /** Seq. */
  readonly seq: number;
  /** At. */
  readonly at: string;
}

/** `CheckpointName` of the API's document. */
export interface CheckpointName {
  /** Name. */
  readonly name: string;
}

/** `CheckpointPage` of the API's document. */
export interface CheckpointPage {
  /** Items. */
  readonly items: readonly (Checkpoint)[];
  /** Next. */
  readonly next: string | null;
}

/** `Decide` of the API's document. */
export interface Decide {
  /** Decision. */
  readonly decision: {
    readonly outcome: "approve";
    readonly scope?: "once" | "process" | "subtree" | "tree" | "image" | "policy";
    readonly resource?: string;
    readonly forMs?: number;
    readonly uses?: number;
    readonly note?: string;
  } | {
    readonly outcome: "edit";
    readonly args: { readonly [key: string]: unknown };
    readonly note?: string;
  } | {
    readonly outcome: "deny";
    readonly reason?: string;
    readonly stop?: boolean;
  } | {
    readonly outcome: "answer";
    readonly value?: unknown;
  };
  /** Required where the request has a call */
  readonly argsHash?: string;
  /** How many processes asked, as was shown: a yes is for all of them, and for no others */
  readonly askers?: number;
}

/** `DecideAll` of the API's document. */
export interface DecideAll {
  /** Items. */
  readonly items: readonly ({
    readonly id: string;
    readonly argsHash: string;
    readonly askers?: number;
  })[];
  /** Decision. */
  readonly decision: {
    readonly outcome: "approve";
    readonly scope?: "once" | "process" | "subtree" | "tree" | "image" | "policy";
    readonly resource?: string;
    readonly forMs?: number;
    readonly uses?: number;
    readonly note?: string;
  } | {
    readonly outcome: "edit";
    readonly args: { readonly [key: string]: unknown };
    readonly note?: string;
  } | {
    readonly outcome: "deny";
    readonly reason?: string;
    readonly stop?: boolean;
  } | {
    readonly outcome: "answer";
    readonly value?: unknown;
  };
}

/** `Decided` of the API's document. */
export interface Decided {
  /** Request. */
  readonly request: Request;
  /** Grants. */
  readonly grants: readonly (string)[];
  /** Grants until. */
  readonly grantsUntil: string | null;
  /** Policy diff. */
  readonly policyDiff: string | null;
}

/** `DecidedAll` of the API's document. */
export interface DecidedAll {
  /** Items. */
  readonly items: readonly ({
    readonly id: string;
    readonly ok: boolean;
    readonly code: string | null;
    readonly detail: string | null;
  })[];
}

/** `DecidedPage` of the API's document. */
export interface DecidedPage {
  /** Items. */
  readonly items: readonly (DecidedRequest)[];
  /** Next. */
  readonly next: string | null;
  /** Unread. */
  readonly unread: number;
}

/** `DecidedRequest` of the API's document. */
export interface DecidedRequest {
  /** Id. */
  readonly id: string;
  /** Tree. */
  readonly tree: string;
  /** Pid. */
  readonly pid: string;
  /** Kind. */
  readonly kind: "permission" | "question" | "notice" | "review" | "budget" | "doubt";
  /** What. */
  readonly what: string;
  /** Risk. */
  readonly risk: "low" | "medium" | "high" | "destructive";
  /** Outcome. */
  readonly outcome: "approve" | "edit" | "deny" | "answer" | "expired";
  /** By. */
  readonly by: string | null;
  /** Agreed. */
  readonly agreed: string | null;
  /** Asked at. */
  readonly askedAt: string;
  /** At. */
  readonly at: string;
  /** Seq. */
  readonly seq: number;
  /** Scope. */
  readonly scope: "once" | "process" | "subtree" | "tree" | "image" | "policy" | null;
  /** Pattern. */
  readonly pattern: string | null;
  /** Note. */
  readonly note: string | null;
  /** Stopped. */
  readonly stopped: boolean;
  /** Gave. */
  readonly gave: readonly (GivenCapability)[];
  /** Rule. */
  readonly rule: string | null;
}

/** `Doctor` of the API's document. */
export interface Doctor {
  /** Items. */
  readonly items: readonly ({
    readonly what: string;
    readonly state: string;
    readonly detail: string;
  })[];
}

/** `Effect` of the API's document. */
export interface Effect {
  /** Tree. */
  readonly tree: string;
  /** Seq. */
  readonly seq: number;
  /** Pid. */
  readonly pid: string;
  /** Call. */
  readonly call: string;
  /** Name. */
  readonly name: string;
  /** Resource. */
  readonly resource: string;
  /** Any JSON */
  readonly args?: unknown;
  /** Revealed. */
  readonly revealed: boolean;
  /** Request. */
  readonly request: string | null;
  /** At. */
  readonly at: string;
}

/** `EffectPage` of the API's document. */
export interface EffectPage {
  /** Items. */
  readonly items: readonly (Effect)[];
  /** Next. */
  readonly next: string | null;
}

/** `Event` of the API's document. */
export interface Event {
  /** Tree. */
  readonly tree: string;
  /** Seq. */
  readonly seq: number;
  /** At. */
  readonly at: string;
  /** Pid. */
  readonly pid: string | null;
  /** Type. */
  readonly type: string;
  /** Word. */
  readonly word: string;
  /** Text. */
  readonly text: string;
  /** Decision. */
  readonly decision: "allow" | "ask" | "deny" | null;
  /** Call. */
  readonly call: string | null;
  /** Any JSON */
  readonly data?: unknown;
  /** Prev. */
  readonly prev?: string;
}

/** `EventPage` of the API's document. */
export interface EventPage {
  /** Items. */
  readonly items: readonly (Event)[];
  /** Next. */
  readonly next: string | null;
}

/** `Explain` of the API's document. */
export interface Explain {
  /** Pid. */
  readonly pid: string;
  /** Rule. */
  readonly rule: string;
  /** Args. */
  readonly args?: { readonly [key: string]: unknown };
}

/** `Explanation` of the API's document. */
export interface Explanation {
  /** Pid. */
  readonly pid: string;
  /** Decision. */
  readonly decision: "allow" | "ask" | "deny" | "none";
  /** Right. */
  readonly right: string;
  /** Resource. */
  readonly resource: string;
  /** Cap. */
  readonly cap: string | null;
  /** Chain. */
  readonly chain: readonly ({
    readonly id: string;
    readonly via: string;
    readonly by: string;
  })[];
  /** Considered. */
  readonly considered: readonly ({
    readonly id: string;
    readonly matched: boolean;
    readonly why: string;
  })[];
  /** Rule. */
  readonly rule: string | null;
  /** Seen. */
  readonly seen: string | null;
  /** Suggestion. */
  readonly suggestion: string | null;
}

/** `Fork` of the API's document. */
export interface Fork {
  /** Goal. */
  readonly goal?: string;
  /** Model. */
  readonly model?: string;
  /** Budget. */
  readonly budget?: { readonly [key: string]: number };
  /** Message. */
  readonly message?: string;
  /** Policy. */
  readonly policy?: string;
}

/** `FreeTrees` of the API's document. */
export interface FreeTrees {
  /** Ready. */
  readonly ready: number;
  /** Resting. */
  readonly resting: number;
  /** At most. */
  readonly atMost: number;
  /** First. */
  readonly first: readonly ({
    readonly tree: string;
    readonly title: string;
    readonly selector: { readonly [key: string]: string } | null;
  })[];
}

/** `GivenCapability` of the API's document. */
export interface GivenCapability {
  /** Id. */
  readonly id: string;
  /** Holder. */
  readonly holder: string;
  /** State. */
  readonly state: "holds" | "used" | "expired" | "revoked" | "gone";
  /** Calls. */
  readonly calls: number;
  /** Uses max. */
  readonly usesMax: number | null;
  /** Expires at. */
  readonly expiresAt: string | null;
}

/** `Grant` of the API's document. */
export interface Grant {
  /** Rule. */
  readonly rule: string;
  /** Uses. */
  readonly uses?: number;
  /** For ms. */
  readonly forMs?: number;
  /** Delegable. */
  readonly delegable?: boolean;
  /** Depth. */
  readonly depth?: number;
  /** Bytes. */
  readonly bytes?: number;
  /** Constraint. */
  readonly constraint?: { readonly [key: string]: unknown };
}

/** `Health` of the API's document. */
export interface Health {
  /** Ok. */
  readonly ok: true;
}

/** `Image` of the API's document. */
export interface Image {
  /** Ref. */
  readonly ref: string;
  /** Hash. */
  readonly hash: string;
  /** Program. */
  readonly program: string;
  /** Model. */
  readonly model: string | null;
  /** Tools. */
  readonly tools: readonly (string)[];
  /** Requests. */
  readonly requests: readonly (string)[];
  /** Generated. */
  readonly generated: readonly ({
    readonly name: string;
    readonly hash: string;
  })[];
  /** Instructions. */
  readonly instructions: string;
  /** Package. */
  readonly package: string | null;
  /** Start. */
  readonly start: {
    readonly goal: string | null;
    readonly grants: readonly (string)[];
  } | null;
  /** Made. */
  readonly made: {
    readonly pid: string;
    readonly seq: number;
    readonly checkpoint: string;
    readonly by: string;
    readonly at: string;
  } | null;
}

/** `ImageWish` of the API's document. */
export interface ImageWish {
  /** Pid. */
  readonly pid: string;
  /** Name. */
  readonly name: string;
  /** Version. */
  readonly version?: string;
}

/** `Imported` of the API's document. */
export interface Imported {
  /** Tree. */
  readonly tree: string;
  /** Lines. */
  readonly lines: number;
  /** Blobs. */
  readonly blobs: number;
  /** Created. */
  readonly created: boolean;
  /** In doubt. */
  readonly inDoubt: number;
}

/** `Kept` of the API's document. */
export interface Kept {
  /** Tree. */
  readonly tree: string;
  /** Days. */
  readonly days: number | null;
  /** Next ms. */
  readonly nextMs: number | null;
}

/** `Label` of the API's document. */
export interface Label {
  /** Sensitivity. */
  readonly sensitivity: string;
  /** Trust. */
  readonly trust: string;
  /** Origin. */
  readonly origin?: readonly (string)[];
}

/** `LeastAuthority` of the API's document. */
export interface LeastAuthority {
  /** Pid. */
  readonly pid: string;
  /** Image. */
  readonly image: string;
  /** Items. */
  readonly items: readonly ({
    readonly rule: string;
    readonly effect: "allow" | "ask";
    readonly calls: number;
    readonly lines: readonly (number)[];
  })[];
}

/** `Limits` of the API's document. */
export interface Limits {
  /** Model calls. */
  readonly modelCalls?: number;
  /** Tokens. */
  readonly tokens?: number;
  /** Usd. */
  readonly usd?: number;
  /** Tool calls. */
  readonly toolCalls?: number;
  /** Children. */
  readonly children?: number;
  /** Depth. */
  readonly depth?: number;
  /** Wall ms. */
  readonly wallMs?: number;
  /** Bytes. */
  readonly bytes?: number;
}

/** `Matches` of the API's document. */
export interface Matches {
  /** Matched. */
  readonly matched: number;
  /** Of. */
  readonly of: number;
  /** Asked. */
  readonly asked: number;
  /** Allowed. */
  readonly allowed: number;
  /** Denied. */
  readonly denied: number;
  /** Processes. */
  readonly processes: number;
  /** Examples. */
  readonly examples: readonly ({
    readonly seq: number;
    readonly pid: string;
    readonly resource: string;
  })[];
  /** Is whole. */
  readonly isWhole: boolean;
  /** Problem. */
  readonly problem: string | null;
}

/** `Message` of the API's document. */
export interface Message {
  /** Any JSON */
  readonly data?: unknown;
  /** Type. */
  readonly type?: string;
  /** Interrupt. */
  readonly interrupt?: boolean;
}

/** `NewToken` of the API's document. */
export type NewToken =
  & (Token)
  & ({
    readonly secret: string;
  });

/** `Node` of the API's document. */
export interface Node {
  /** Id. */
  readonly id: string;
  /** Name. */
  readonly name: string;
  /** State. */
  readonly state: "active" | "cordoned" | "draining" | "gone";
  /** Labels. */
  readonly labels: { readonly [key: string]: string };
  /** Version. */
  readonly version: string;
  /** Started at. */
  readonly startedAt: string;
  /** Trees. */
  readonly trees: number;
  /** Running. */
  readonly running: number;
  /** Resident bytes. */
  readonly residentBytes: number | null;
  /** Fleet. */
  readonly fleet: {
    readonly capacity: number;
    readonly held: number;
    readonly steps: number;
    readonly layout: number;
    readonly leaseMs: number;
    readonly beatAgeMs: number;
    readonly skewMs: number;
    readonly taken: number;
    readonly freed: number;
    readonly lapses: number;
  } | null;
}

/** `NodeMove` of the API's document. */
export interface NodeMove {
  /** Tree. */
  readonly tree: string;
}

/** `Object` of the API's document. */
export interface Object {
  /** Id. */
  readonly id: string;
  /** Tree. */
  readonly tree: string;
  /** Name. */
  readonly name: string;
  /** Owner. */
  readonly owner: string;
  /** Type. */
  readonly type: string;
  /** Mutable. */
  readonly mutable: boolean;
  /** List. */
  readonly list: boolean;
  /** Version. */
  readonly version: number;
  /** Items. */
  readonly items: number;
  /** Bytes. */
  readonly bytes: number | null;
  /** Label. */
  readonly label: Label;
  /** From. */
  readonly from: {
    readonly pid: string;
    readonly call: string;
    readonly sources: readonly (string)[];
  };
  /** Links. */
  readonly links: readonly ({
    readonly relation: string;
    readonly to: string;
  })[];
  /** At. */
  readonly at: string;
  /** Deleted. */
  readonly deleted: boolean;
}

/** `ObjectPage` of the API's document. */
export interface ObjectPage {
  /** Items. */
  readonly items: readonly (Object)[];
  /** Next. */
  readonly next: string | null;
}

/** `ObjectVersion` of the API's document. */
export interface ObjectVersion {
  /** Id. */
  readonly id: string;
  /** Version. */
  readonly version: number;
  /** Seq. */
  readonly seq: number;
  /** At. */
  readonly at: string;
  /** Label. */
  readonly label: Label;
  /** From. */
  readonly from: {
    readonly pid: string;
    readonly call: string;
    readonly sources: readonly (string)[];
  };
  /** Revealed. */
  readonly revealed: boolean;
  /** Erased. */
  readonly erased: boolean;
  /** Any JSON */
  readonly value?: unknown;
}

/** `Outcome` of the API's document. */
export interface Outcome {
  /** Kind. */
  readonly kind: "exited" | "failed" | "canceled" | "killed";
  /** Code. */
  readonly code: number | string | null;
  /** Message. */
  readonly message: string | null;
  /** By. */
  readonly by: string | null;
}

/** `Overview` of the API's document. */
export interface Overview {
  /** Running. */
  readonly running: number;
  /** Waiting. */
  readonly waiting: number;
  /** Requests. */
  readonly requests: number;
  /** Failed. */
  readonly failed: number;
  /** Oldest request at. */
  readonly oldestRequestAt: string | null;
  /** In doubt. */
  readonly inDoubt: number;
  /** Spent. */
  readonly spent: {
    readonly usd: number;
    readonly tokens: number;
    readonly modelCalls: number;
  };
  /** Spent today. */
  readonly spentToday: {
    readonly usd: number;
    readonly tokens: number;
    readonly modelCalls: number;
  };
  /** Events per minute. */
  readonly eventsPerMinute: number;
  /** Tier. */
  readonly tier: string | null;
  /** Audit. */
  readonly audit: {
    readonly ok: boolean;
    readonly checkedAt: string;
    readonly lines: number;
  } | null;
}

/** `Package` of the API's document. */
export interface Package {
  /** Ref. */
  readonly ref: string;
  /** Hash. */
  readonly hash: string;
  /** Needs. */
  readonly needs: readonly (string)[];
  /** Model. */
  readonly model: string | null;
  /** Libc. */
  readonly libc: readonly (string)[] | null;
  /** Budget. */
  readonly budget: { readonly [key: string]: number };
  /** Max steps. */
  readonly maxSteps: number;
  /** Tools. */
  readonly tools: readonly ({
    readonly name: string;
    readonly description: string;
    readonly rights: readonly (string)[];
    readonly tests: number;
    readonly source: string;
  })[];
  /** Skills. */
  readonly skills: readonly ({
    readonly name: string;
    readonly description: string;
    readonly allowedTools: string | null;
  })[];
  /** Files. */
  readonly files: readonly ({
    readonly path: string;
    readonly bytes: number;
    readonly sha256: string;
  })[];
  /** Instructions. */
  readonly instructions: string;
  /** Signed by. */
  readonly signedBy: readonly (string)[];
}

/** `PackageChange` of the API's document. */
export interface PackageChange {
  /** What. */
  readonly what: string;
  /** Name. */
  readonly name: string;
  /** Mark. */
  readonly mark: "+" | "-" | "~";
  /** Detail. */
  readonly detail: string;
}

/** `PackageFile` of the API's document. */
export interface PackageFile {
  /** Type. */
  readonly type: string;
  /** Hash. */
  readonly hash: string;
  /** Body. */
  readonly body: { readonly [key: string]: unknown };
  /** Signatures. */
  readonly signatures: readonly ({
    readonly key: string;
    readonly sig: string;
  })[];
}

/** `PackageLabel` of the API's document. */
export interface PackageLabel {
  /** Ref. */
  readonly ref: string;
  /** Hash. */
  readonly hash: string;
}

/** `Policy` of the API's document. */
export interface Policy {
  /** Tree. */
  readonly tree: string;
  /** Text. */
  readonly text: string;
}

/** `PolicyTested` of the API's document. */
export interface PolicyTested {
  /** Items. */
  readonly items: readonly ({
    readonly seq: number;
    readonly pid: string;
    readonly call: string;
    readonly right: string;
    readonly resource: string;
    readonly was: "allow" | "ask" | "deny";
    readonly would: "ask" | "deny";
    readonly rule: string;
  })[];
}

/** `PolicyText` of the API's document. */
export interface PolicyText {
  /** Text. */
  readonly text: string;
}

/** `PolicyTrial` of the API's document. */
export interface PolicyTrial {
  /** Text. */
  readonly text: string;
  /** Until. */
  readonly until?: number;
}

/** `Preview` of the API's document. */
export interface Preview {
  /** Kind. */
  readonly kind: "diff" | "source" | "url" | "text";
  /** Body. */
  readonly body: string;
  /** Added. */
  readonly added?: number;
  /** Removed. */
  readonly removed?: number;
}

/** `Problem` of the API's document. */
export interface Problem {
  /** Type. */
  readonly type: string;
  /** Title. */
  readonly title: string;
  /** Status. */
  readonly status: number;
  /** Detail. */
  readonly detail: string;
  /** Code. */
  readonly code:
    | "ENOSYS"
    | "EINVAL"
    | "ELIMIT"
    | "EREPLAY"
    | "EPERM"
    | "EACCES"
    | "EEXPIRED"
    | "EBUDGET"
    | "ENOENT"
    | "EEXIST"
    | "ESTATE"
    | "ESTALE"
    | "EAGAIN"
    | "EFENCED"
    | "ECANCELED"
    | "ETIMEDOUT"
    | "EIO"
    | "ENOSPC"
    | "EINDOUBT"
    | "EINTEGRITY"
    | "unauthenticated"
    | "role_too_low"
    | "origin_refused"
    | "host_refused"
    | "csrf_refused"
    | "too_many_requests"
    | "too_many_streams"
    | "body_too_large"
    | "body_too_slow"
    | "key_reused"
    | "precondition_failed"
    | "own_request";
  /** Blame. */
  readonly blame?: "caller" | "policy" | "world" | "kernel";
  /** Retry. */
  readonly retry?: boolean;
  /** More. */
  readonly more?: { readonly [key: string]: unknown };
}

/** `Process` of the API's document. */
export interface Process {
  /** Pid. */
  readonly pid: string;
  /** Parent. */
  readonly parent: string | null;
  /** Tree. */
  readonly tree: string;
  /** Image. */
  readonly image: string;
  /** Image hash. */
  readonly imageHash: string;
  /** State. */
  readonly state: "ready" | "running" | "waiting" | "paused" | "canceling" | "ended";
  /** Waiting. */
  readonly waiting: Waiting;
  /** Outcome. */
  readonly outcome: Outcome;
  /** Goal. */
  readonly goal: string;
  /** Cwd. */
  readonly cwd: string;
  /** Labels. */
  readonly labels: { readonly [key: string]: string };
  /** Label. */
  readonly label: Label;
  /** Step. */
  readonly step: number;
  /** Calls. */
  readonly calls: {
    readonly allowed: number;
    readonly asked: number;
    readonly denied: number;
  };
  /** Spent. */
  readonly spent: {
    readonly modelCalls?: number;
    readonly tokens?: number;
    readonly usd?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    readonly wallMs?: number;
    readonly bytes?: number;
  };
  /** Budget. */
  readonly budget: {
    readonly modelCalls?: number;
    readonly tokens?: number;
    readonly usd?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    readonly wallMs?: number;
    readonly bytes?: number;
  };
  /** Tools. */
  readonly tools: readonly (string)[];
  /** Generated tools. */
  readonly generatedTools: readonly (string)[];
  /** Children. */
  readonly children: readonly (string)[];
  /** Requests. */
  readonly requests: number;
  /** Owner. */
  readonly owner: string;
  /** Started at. */
  readonly startedAt: string;
  /** Ended at. */
  readonly endedAt: string | null;
  /** Seq. */
  readonly seq: number;
  /** Another node has its tree: this is what the store has of it. Orders reach it there, through its inbox */
  readonly elsewhere?: true;
}

/** `ProcessPage` of the API's document. */
export interface ProcessPage {
  /** Items. */
  readonly items: readonly (Process)[];
  /** Next. */
  readonly next: string | null;
}

/** `Put` of the API's document. */
export interface Put {
  /** Name. */
  readonly name: string;
  /** Type. */
  readonly type?: string;
  /** Any JSON */
  readonly value?: unknown;
  /** From. */
  readonly from?: number;
}

/** `Reason` of the API's document. */
export interface Reason {
  /** Reason. */
  readonly reason?: string;
}

/** `Replica` of the API's document. */
export interface Replica {
  /** Name. */
  readonly name: string;
  /** Use. */
  readonly use: "unasked" | "used" | "behind" | "away" | "refused";
  /** Detail. */
  readonly detail: string;
  /** Lag ms. */
  readonly lagMs: number | null;
  /** Lag bytes. */
  readonly lagBytes: number | null;
  /** Answered. */
  readonly answered: {
    readonly replica: number;
    readonly primary: number;
  };
}

/** `Request` of the API's document. */
export interface Request {
  /** Id. */
  readonly id: string;
  /** Kind. */
  readonly kind: "permission" | "question" | "notice" | "review" | "budget" | "doubt";
  /** Status. */
  readonly status: "pending" | "approved" | "denied" | "answered" | "expired";
  /** Tree. */
  readonly tree: string;
  /** Pid. */
  readonly pid: string;
  /** Image. */
  readonly image: string;
  /** Goal. */
  readonly goal: string;
  /** Lineage. */
  readonly lineage: readonly (string)[];
  /** Askers. */
  readonly askers: readonly (string)[];
  /** Prompt. */
  readonly prompt: string;
  /** Call. */
  readonly call: {
    readonly name: string;
    readonly right: string;
    readonly resource: string;
    readonly args?: unknown;
    readonly argsHash: string;
  } | null;
  /** Revealed. */
  readonly revealed: boolean;
  /** Tool. */
  readonly tool: {
    readonly name: string;
    readonly hash: string;
  } | null;
  /** Schema. */
  readonly schema: { readonly [key: string]: unknown } | null;
  /** Choices. */
  readonly choices: readonly (string)[];
  /** Risk. */
  readonly risk: "low" | "medium" | "high" | "destructive";
  /** Because. */
  readonly because: string | null;
  /** Preview. */
  readonly preview: Preview;
  /** Suggestions. */
  readonly suggestions: readonly (Suggestion)[];
  /** Scopes. */
  readonly scopes: readonly ("once" | "process" | "subtree" | "tree" | "image" | "policy")[];
  /** Lasts. */
  readonly lasts: readonly ({
    readonly scope: "once" | "process" | "subtree" | "tree" | "image" | "policy";
    readonly forMs: number | null;
  })[];
  /** People. */
  readonly people: {
    readonly needed: number;
    readonly agreed: readonly (string)[];
  };
  /** Who. */
  readonly who: string | null;
  /** Similar. */
  readonly similar: {
    readonly approved: number;
    readonly denied: number;
  } | null;
  /** Created at. */
  readonly createdAt: string;
  /** Expires at. */
  readonly expiresAt: string | null;
  /** Escalated at. */
  readonly escalatedAt: string | null;
  /** Any JSON */
  readonly answer?: unknown;
  /** By. */
  readonly by: string | null;
  /** Owner. */
  readonly owner: string;
  /** May decide. */
  readonly mayDecide: boolean;
}

/** `RequestPage` of the API's document. */
export interface RequestPage {
  /** Items. */
  readonly items: readonly (Request)[];
  /** Next. */
  readonly next: string | null;
}

/** `Retain` of the API's document. */
export interface Retain {
  /** Days. */
  readonly days: number | null;
}

/** `Retention` of the API's document. */
export interface Retention {
  /** Tree. */
  readonly tree: string;
  /** Days. */
  readonly days: number | null;
  /** By. */
  readonly by: string | null;
  /** Payloads. */
  readonly payloads: number;
  /** Bytes. */
  readonly bytes: number;
  /** Stays. */
  readonly stays: number;
  /** Next ms. */
  readonly nextMs: number | null;
}

/** `RetentionPlan` of the API's document. */
export interface RetentionPlan {
  /** Items. */
  readonly items: readonly ({
    readonly tree: string;
    readonly to: number;
    readonly count: number;
    readonly bytes: number;
    readonly stays: number;
  })[];
}

/** `Rollback` of the API's document. */
export interface Rollback {
  /** Files. */
  readonly files?: boolean;
}

/** `RollbackPreview` of the API's document. */
export interface RollbackPreview {
  /** To. */
  readonly to: number;
  /** Effects. */
  readonly effects: readonly ({
    readonly seq: number;
    readonly pid: string;
    readonly name: string;
    readonly what: string;
    readonly ok: boolean | null;
  })[];
  /** Messages. */
  readonly messages: number;
  /** Files. */
  readonly files: readonly ({
    readonly path: string;
    readonly does: string;
    readonly conflict: string | null;
  })[];
}

/** `SentEffect` of the API's document. */
export interface SentEffect {
  /** Tree. */
  readonly tree: string;
  /** Seq. */
  readonly seq: number;
  /** At. */
  readonly at: string;
  /** Pid. */
  readonly pid: string;
  /** Call. */
  readonly call: string;
  /** Name. */
  readonly name: string;
  /** What. */
  readonly what: string;
  /** State. */
  readonly state: "committed" | "failed" | "in doubt" | "repeated" | "reconciled" | "compensated";
  /** Outcome. */
  readonly outcome: number | null;
  /** Via. */
  readonly via: string | null;
  /** Why. */
  readonly why: string;
}

/** `SentEffectPage` of the API's document. */
export interface SentEffectPage {
  /** Items. */
  readonly items: readonly (SentEffect)[];
  /** Next. */
  readonly next: string | null;
}

/** `Series` of the API's document. */
export interface Series {
  /** Name. */
  readonly name: "usd" | "tokens" | "calls" | "denials" | "personWaitMs";
  /** Step ms. */
  readonly stepMs: number;
  /** From. */
  readonly from: string;
  /** Rows. */
  readonly rows: readonly ({
    readonly key: string;
    readonly points: readonly (number)[];
  })[];
}

/** `SessionLink` of the API's document. */
export interface SessionLink {
  /** Url. */
  readonly url: string;
  /** Expires at. */
  readonly expiresAt: string;
}

/** `Signal` of the API's document. */
export interface Signal {
  /** Signal. */
  readonly signal: "pause" | "resume" | "cancel" | "kill";
  /** Reason. */
  readonly reason?: string;
}

/** `Spawn` of the API's document. */
export interface Spawn {
  /** Image. */
  readonly image: string;
  /** Goal. */
  readonly goal?: string;
  /** Any JSON */
  readonly input?: unknown;
  /** Defaults. */
  readonly defaults?: boolean;
  /** Grants. */
  readonly grants?: readonly (string)[];
  /** Budget. */
  readonly budget?: {
    readonly modelCalls?: number;
    readonly tokens?: number;
    readonly usd?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    readonly wallMs?: number;
    readonly bytes?: number;
  };
  /** Labels. */
  readonly labels?: { readonly [key: string]: string };
  /** Cwd. */
  readonly cwd?: string;
  /** Priority. */
  readonly priority?: number;
}

/** `State` of the API's document. */
export interface State {
  /** Tree. */
  readonly tree: string;
  /** Checkpoint. */
  readonly checkpoint: Checkpoint;
  /** Seq. */
  readonly seq: number;
  /** At ms. */
  readonly atMs: number;
  /** Processes. */
  readonly processes: readonly ({
    readonly pid: string;
    readonly state: string;
    readonly step: number;
    readonly goal: string;
    readonly spent: { readonly [key: string]: number };
    readonly context: number;
  })[];
  /** Objects. */
  readonly objects: readonly ({
    readonly name: string;
    readonly version: number;
  })[];
  /** Capabilities. */
  readonly capabilities: readonly ({
    readonly subject: string;
    readonly rule: string;
  })[];
  /** Requests. */
  readonly requests: readonly ({
    readonly id: string;
    readonly pid: string;
    readonly what: string;
  })[];
  /** Tools. */
  readonly tools: readonly ({
    readonly pid: string;
    readonly name: string;
    readonly tool: string;
  })[];
  /** More. */
  readonly more: { readonly [key: string]: number };
}

/** `StreamEvent` of the API's document. */
export interface StreamEvent {
  /** Id. */
  readonly id: string;
  /** Kind. */
  readonly kind:
    | "process.state"
    | "process.text"
    | "model.call"
    | "syscall.request"
    | "syscall.decision"
    | "syscall.result"
    | "approval.created"
    | "approval.changed"
    | "approval.decided"
    | "approval.escalated"
    | "object.version"
    | "checkpoint.created"
    | "tool.registered"
    | "budget.warning"
    | "node.state"
    | "audit.head";
  /** Tree. */
  readonly tree: string | null;
  /** Pid. */
  readonly pid: string | null;
  /** Seq. */
  readonly seq: number | null;
  /** At. */
  readonly at: string;
  /** Summary. */
  readonly summary: { readonly [key: string]: unknown };
}

/** `Suggestion` of the API's document. */
export interface Suggestion {
  /** Right. */
  readonly right: string;
  /** Resource. */
  readonly resource: string;
  /** Scope. */
  readonly scope: "once" | "process" | "subtree" | "tree" | "image" | "policy";
  /** Matched. */
  readonly matched: number;
}

/** `Timeline` of the API's document. */
export interface Timeline {
  /** Items. */
  readonly items: readonly (Bar)[];
  /** Next. */
  readonly next: string | null;
}

/** `Token` of the API's document. */
export interface Token {
  /** Id. */
  readonly id: string;
  /** Name. */
  readonly name: string;
  /** Role. */
  readonly role: "viewer" | "approver" | "operator" | "admin";
  /** Labels. */
  readonly labels: { readonly [key: string]: string };
  /** Created at. */
  readonly createdAt: string;
  /** Expires at. */
  readonly expiresAt: string | null;
}

/** `TokenWish` of the API's document. */
export interface TokenWish {
  /** Name. */
  readonly name: string;
  /** Role. */
  readonly role: "viewer" | "approver" | "operator" | "admin";
  /** Labels. */
  readonly labels?: { readonly [key: string]: string };
  /** For ms. */
  readonly forMs?: number;
}

/** `Tool` of the API's document. */
export interface Tool {
  /** Hash. */
  readonly hash: string;
  /** Tree. */
  readonly tree: string;
  /** Name. */
  readonly name: string;
  /** Description. */
  readonly description: string;
  /** Any JSON */
  readonly inputSchema?: unknown;
  /** Any JSON */
  readonly outputSchema?: unknown;
  /** By. */
  readonly by: string;
  /** At. */
  readonly at: string;
  /** Declared. */
  readonly declared: readonly (string)[];
  /** Observed. */
  readonly observed: readonly ({
    readonly name: string;
    readonly calls: number;
    readonly denied: number;
  })[];
  /** Tested. */
  readonly tested: {
    readonly passed: number;
    readonly failed: number;
  } | null;
  /** Holders. */
  readonly holders: readonly (string)[];
  /** Reviewed by. */
  readonly reviewedBy: string | null;
  /** Revoked. */
  readonly revoked: {
    readonly by: string;
    readonly reason: string;
  } | null;
  /** Runs. */
  readonly runs: readonly ({
    readonly seq: number;
    readonly pid: string;
    readonly at: string;
    readonly ms: number | null;
    readonly ok: boolean | null;
    readonly code: string | null;
    readonly calls: number;
    readonly denied: number;
  })[];
  /** Versions. */
  readonly versions: readonly (string)[];
}

/** `ToolPage` of the API's document. */
export interface ToolPage {
  /** Items. */
  readonly items: readonly (Tool)[];
  /** Next. */
  readonly next: string | null;
}

/** `ToolSource` of the API's document. */
export interface ToolSource {
  /** Hash. */
  readonly hash: string;
  /** Name. */
  readonly name: string;
  /** Source. */
  readonly source: string;
  /** Diff. */
  readonly diff: string | null;
}

/** `Tree` of the API's document. */
export interface Tree {
  /** Tree. */
  readonly tree: string;
  /** Root. */
  readonly root: string;
  /** Title. */
  readonly title: string;
  /** Owner. */
  readonly owner: string;
  /** Processes. */
  readonly processes: number;
  /** Live. */
  readonly live: boolean;
  /** Seq. */
  readonly seq: number;
  /** Head. */
  readonly head: string;
  /** Broken. */
  readonly broken: string | null;
  /** Policy. */
  readonly policy: string;
  /** Ceiling. */
  readonly ceiling: readonly (string)[];
}

/** `TreePage` of the API's document. */
export interface TreePage {
  /** Items. */
  readonly items: readonly (Tree)[];
  /** Next. */
  readonly next: string | null;
}

/** `Turn` of the API's document. */
export interface Turn {
  /** Seq. */
  readonly seq: number | null;
  /** Role. */
  readonly role: "system" | "user" | "assistant" | "tool";
  /** Text. */
  readonly text: string;
  /** Calls. */
  readonly calls: readonly ({
    readonly id: string;
    readonly name: string;
    readonly input?: unknown;
  })[];
}

/** `UnusedRules` of the API's document. */
export interface UnusedRules {
  /** Tree. */
  readonly tree: string;
  /** Items. */
  readonly items: readonly ({
    readonly line: number;
    readonly rule: string;
  })[];
}

/** `Verified` of the API's document. */
export interface Verified {
  /** Ok. */
  readonly ok: boolean;
  /** Trees. */
  readonly trees: number;
  /** Lines. */
  readonly lines: number;
  /** Sealed. */
  readonly sealed: {
    readonly size: number;
    readonly root: string;
  } | null;
  /** Broken. */
  readonly broken: readonly ({
    readonly tree: string;
    readonly seq: number | null;
    readonly why: string;
  })[];
  /** Checked. */
  readonly checked: readonly (Checked)[];
}

/** `Version` of the API's document. */
export interface Version {
  /** Name. */
  readonly name: "agent-libos";
  /** Version. */
  readonly version: string;
  /** Api. */
  readonly api: "v1";
}

/** `WaitResult` of the API's document. */
export interface WaitResult {
  /** Ended. */
  readonly ended: boolean;
  /** Process. */
  readonly process: Process;
  /** Any JSON */
  readonly result?: unknown;
}

/** `Waiting` of the API's document. */
export interface Waiting {
  /** Reason. */
  readonly reason: "person" | "message" | "child" | "timer" | "call" | "away" | "paused" | "node";
  /** On. */
  readonly on: string | null;
  /** Since. */
  readonly since: string;
}

/** `Who` of the API's document. */
export interface Who {
  /** Name. */
  readonly name: string;
  /** Role. */
  readonly role: "viewer" | "approver" | "operator" | "admin";
  /** Labels. */
  readonly labels: { readonly [key: string]: string };
  /** Csrf. */
  readonly csrf: string | null;
}

/** `WhoCan` of the API's document. */
export interface WhoCan {
  /** Items. */
  readonly items: readonly ({
    readonly pid: string;
    readonly image: string;
    readonly decision: "allow" | "ask" | "deny";
    readonly cap: string | null;
  })[];
  /** Of. */
  readonly of: number;
}
