/**
 * The calls that generated tools reach through their port.
 *
 * Generated from the table by `deno task generate`; a test holds the two together.
 * @module
 */

/** The calls that the port lets through, by name. Whether one is allowed is judged at the door. */
export const PORT_CALLS: readonly string[] = [
  "process.spawn",
  "process.exec",
  "process.wait",
  "process.exit",
  "process.signal",
  "process.list",
  "process.inspect",
  "process.chdir",
  "process.cwd",
  "object.create",
  "object.read",
  "object.write",
  "object.append",
  "object.delete",
  "object.list",
  "object.find",
  "object.link",
  "object.import",
  "object.export",
  "namespace.create",
  "namespace.list",
  "capability.list",
  "capability.inspect",
  "capability.explain",
  "capability.delegate",
  "capability.revoke",
  "capability.request",
  "human.ask",
  "human.tell",
  "message.send",
  "message.receive",
  "clock.now",
  "clock.wait",
  "clock.sleep",
  "random.bytes",
  "file.read",
  "file.list",
  "file.stat",
  "file.write",
  "file.mkdir",
  "file.move",
  "file.remove",
  "net.fetch",
  "model.generate",
  "context.pin",
  "context.unpin",
  "context.inspect",
  "context.compact",
  "budget.inspect",
  "budget.limit",
  "checkpoint.create",
  "checkpoint.list",
  "checkpoint.inspect",
  "checkpoint.diff",
  "program.run",
];

/** After these the running step is over. */
export const PORT_ENDS: readonly string[] = [
  "process.exec",
  "process.exit",
];

/** Which arguments may be given by position, in this order; all others are given by name. */
export const PORT_POSITIONS: { readonly [call: string]: readonly string[] } = {
  "process.spawn": [
    "image",
    "goal",
  ],
  "process.exec": [
    "image",
  ],
  "process.wait": [
    "pids",
  ],
  "process.exit": [],
  "process.signal": [
    "pid",
    "signal",
  ],
  "process.list": [
    "ended",
  ],
  "process.inspect": [
    "pid",
  ],
  "process.chdir": [
    "path",
  ],
  "process.cwd": [],
  "object.create": [
    "name",
  ],
  "object.read": [
    "object",
  ],
  "object.write": [
    "object",
  ],
  "object.append": [
    "object",
  ],
  "object.delete": [
    "object",
  ],
  "object.list": [
    "prefix",
  ],
  "object.find": [
    "query",
  ],
  "object.link": [
    "object",
    "relation",
    "to",
  ],
  "object.import": [
    "path",
    "name",
  ],
  "object.export": [
    "object",
    "path",
  ],
  "namespace.create": [
    "name",
  ],
  "namespace.list": [],
  "capability.list": [],
  "capability.inspect": [
    "capability",
  ],
  "capability.explain": [
    "rule",
  ],
  "capability.delegate": [
    "to",
    "rule",
  ],
  "capability.revoke": [
    "capability",
  ],
  "capability.request": [
    "rule",
    "reason",
  ],
  "human.ask": [
    "prompt",
  ],
  "human.tell": [
    "message",
  ],
  "message.send": [
    "to",
  ],
  "message.receive": [],
  "clock.now": [],
  "clock.wait": [
    "ms",
  ],
  "clock.sleep": [
    "ms",
  ],
  "random.bytes": [
    "length",
  ],
  "file.read": [
    "path",
  ],
  "file.list": [
    "path",
  ],
  "file.stat": [
    "path",
  ],
  "file.write": [
    "path",
    "text",
  ],
  "file.mkdir": [
    "path",
  ],
  "file.move": [
    "from",
    "to",
  ],
  "file.remove": [
    "path",
  ],
  "net.fetch": [
    "url",
  ],
  "model.generate": [
    "model",
  ],
  "context.pin": [
    "object",
    "kind",
  ],
  "context.unpin": [
    "object",
  ],
  "context.inspect": [
    "model",
  ],
  "context.compact": [
    "context",
  ],
  "budget.inspect": [
    "pid",
  ],
  "budget.limit": [
    "pid",
  ],
  "checkpoint.create": [
    "name",
  ],
  "checkpoint.list": [],
  "checkpoint.inspect": [
    "at",
  ],
  "checkpoint.diff": [
    "from",
  ],
  "program.run": [
    "path",
  ],
};

/** The declaration of each call: a member of `interface Calls`. */
export const PORT_TYPES: { readonly [call: string]: string } = {
  "process.spawn":
    '/** Start a child process from an image, with a part of the own authority. */\n"process.spawn": { args: { image: string; goal: string; input?: Json; /** What it may do: each a part of what the parent may */ grants?: string[]; /** More ask and deny rules for it and what it starts, as policy text */ rules?: string; /** Relative to the working directory */ cwd?: string; labels?: { [key: string]: string }; budget?: { modelCalls?: number; tokens?: number; usd?: number; toolCalls?: number; children?: number; depth?: number; wallMs?: number; bytes?: number }; priority?: number; /** Generated tools of the own table that it sees, too */ inherit?: string[] }; reply: { pid: string }; at: ["image", "goal"] };',
  "process.exec":
    '/** Become another image, keeping identity, memory and authority; done when the tool has returned. */\n"process.exec": { args: { image: string; goal?: string }; reply: null; at: ["image"] };',
  "process.wait":
    '/** Wait until one of the own children has ended, and take its result. */\n"process.wait": { args: { pids: string[]; timeoutMs?: number; /** Take over what the child left under "results/", as "from/<pid>/..." */ merge?: boolean }; reply: { ended: { pid: string; outcome: { kind: string; [key: string]: Json | undefined } } | null; merged: string[] }; at: ["pids"] };',
  "process.exit":
    '/** End, with a result; done when the tool has returned. */\n"process.exit": { args: { result?: Json; code?: number }; reply: null; at: [] };',
  "process.signal":
    '/** Pause, resume, cancel or kill a process and all it started. */\n"process.signal": { args: { pid: string; signal: "pause" | "resume" | "cancel" | "kill"; reason?: string }; reply: {}; at: ["pid", "signal"] };',
  "process.list":
    '/** List the caller and the processes below it. */\n"process.list": { args: { ended?: boolean }; reply: { processes: ({ pid: string; state: string; [key: string]: Json | undefined })[] }; at: ["ended"] };',
  "process.inspect":
    '/** Tell about a process: state, goal, budget, children. */\n"process.inspect": { args: { pid?: string }; reply: { pid: string; state: string; [key: string]: Json | undefined }; at: ["pid"] };',
  "process.chdir":
    '/** Change the working directory. */\n"process.chdir": { args: { /** Relative to the working directory */ path: string }; reply: { cwd: string }; at: ["path"] };',
  "process.cwd":
    '/** Tell the working directory. */\n"process.cwd": { args: {}; reply: { cwd: string }; at: [] };',
  "object.create":
    '/** Keep a value under a new name. */\n"object.create": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ name: string; type?: string; value?: Json; mutable?: boolean; /** An append-only list instead of one value */ list?: boolean }; reply: { object: string; version: number }; at: ["name"] };',
  "object.read":
    '/** Read an object\'s value, or items of a list, and what it links to. */\n"object.read": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; /** List: first item */ from?: number; /** List: one past the last item */ to?: number }; reply: { value: Json; version: number; /** Absent where there are none */ links?: ({ relation: string; to: string })[]; [key: string]: Json | undefined }; at: ["object"] };',
  "object.write":
    '/** Replace a mutable object\'s value, if it has not changed since it was read. */\n"object.write": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; value: Json; from: number }; reply: { version: number }; at: ["object"] };',
  "object.append":
    '/** Add an item at the end of a list. */\n"object.append": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; item: Json }; reply: { version: number }; at: ["object"] };',
  "object.delete":
    '/** Delete an object. */\n"object.delete": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string }; reply: {}; at: ["object"] };',
  "object.list":
    '/** List objects under a prefix. */\n"object.list": { args: { /** Such as notes; all of the own memory */ prefix?: string }; reply: { objects: ({ name: string; [key: string]: Json | undefined })[] }; at: ["prefix"] };',
  "object.find":
    '/** Find objects by words in their text, best first. */\n"object.find": { args: { query: string; prefix?: string; limit?: number }; reply: { found: ({ name: string; [key: string]: Json | undefined })[] }; at: ["query"] };',
  "object.link":
    '/** Link one object to another by a relation. */\n"object.link": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; relation: string; /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ to: string }; reply: {}; at: ["object", "relation", "to"] };',
  "object.import":
    '/** Keep a file\'s content as an object, without it passing through the caller. */\n"object.import": { args: { /** Relative to the working directory */ path: string; /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ name: string; /** What it has to be; what its content says when absent */ type?: "text" | "image" | "audio" | "video" | "document" }; reply: { object: string; version: number; bytes: number; type: string; [key: string]: Json | undefined }; at: ["path", "name"] };',
  "object.export":
    '/** Write an object\'s value into a file, without it passing through the caller. */\n"object.export": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; /** Relative to the working directory */ path: string }; reply: { bytes: number; sha256: string }; at: ["object", "path"] };',
  "namespace.create":
    '/** Make a namespace that processes of the tree can be given rights in. */\n"namespace.create": { args: { name: string }; reply: { name: string }; at: ["name"] };',
  "namespace.list":
    '/** List the namespaces the caller owns. */\n"namespace.list": { args: {}; reply: { namespaces: string[] }; at: [] };',
  "capability.list":
    '/** List the capabilities the caller can use. */\n"capability.list": { args: {}; reply: { capabilities: ({ id: string; [key: string]: Json | undefined })[] }; at: [] };',
  "capability.inspect":
    '/** Tell about one capability of the caller, or derived from one. */\n"capability.inspect": { args: { capability: string }; reply: { id: string; [key: string]: Json | undefined }; at: ["capability"] };',
  "capability.explain":
    '/** Tell whether the caller may do something, why, and what the least grant would be. */\n"capability.explain": { args: { /** right(resource), such as file.read(./src/**) */ rule: string; args?: { [key: string]: Json | undefined } }; reply: { decision: string; [key: string]: Json | undefined }; at: ["rule"] };',
  "capability.delegate":
    '/** Hand a part of a capability to another process of the tree. */\n"capability.delegate": { args: { to: string; /** right(resource), such as file.read(./src/**) */ rule: string; /** Which to derive from; else one that covers */ capability?: string; /** JSON Schema over the call\'s arguments */ constraint?: { [key: string]: Json | undefined }; uses?: number; forMs?: number; delegable?: boolean; /** How many times, one after another, it may be handed on */ depth?: number; /** Most bytes that one call may move; only calls that say how many */ bytes?: number }; reply: { capability: string }; at: ["to", "rule"] };',
  "capability.revoke":
    '/** Take back a capability the caller holds or derived, and all derived from it. */\n"capability.revoke": { args: { capability: string; reason?: string }; reply: { revoked: string[] }; at: ["capability"] };',
  "capability.request":
    '/** Ask a person for a right that the caller does not have, inside the tree\'s ceiling. */\n"capability.request": { args: { /** right(resource), such as file.read(./src/**) */ rule: string; reason: string }; reply: { granted: true; until: Json }; at: ["rule", "reason"] };',
  "human.ask":
    '/** Ask a person a question, and wait for the answer. */\n"human.ask": { args: { prompt: string; choices?: string[]; /** JSON Schema of the answer */ schema?: { [key: string]: Json | undefined }; who?: string; expiresMs?: number }; reply: { answer: Json; by: string }; at: ["prompt"] };',
  "human.tell":
    '/** Tell a person something, without waiting. */\n"human.tell": { args: { message: string; who?: string }; reply: {}; at: ["message"] };',
  "message.send":
    '/** Send a message to a process; it stays until it is received. */\n"message.send": { args: { to: string; type?: string; data: Json; replyTo?: string; /** End whatever the receiver waits for */ interrupt?: boolean }; reply: { message: string | null }; at: ["to"] };',
  "message.receive":
    '/** Take messages from the own mailbox, waiting for one when there is none. */\n"message.receive": { args: { filter?: { from?: string; type?: string; replyTo?: string }; max?: number; /** 0: do not wait */ timeoutMs?: number }; reply: { messages: ({ id: string; [key: string]: Json | undefined })[] }; at: [] };',
  "clock.now":
    '/** Tell the time, in milliseconds since 1970 and as text. */\n"clock.now": { args: {}; reply: { ms: number; iso: string }; at: [] };',
  "clock.wait":
    '/** Wait a moment in place, without being parked. */\n"clock.wait": { args: { ms: number }; reply: {}; at: ["ms"] };',
  "clock.sleep":
    '/** Sleep; costs nothing, and outlives restarts. */\n"clock.sleep": { args: { ms: number }; reply: {}; at: ["ms"] };',
  "random.bytes":
    '/** Give random bytes, as base64. */\n"random.bytes": { args: { length: number }; reply: { base64: string }; at: ["length"] };',
  "file.read":
    '/** Read a file. */\n"file.read": { args: { /** Relative to the working directory */ path: string; encoding?: "utf8" | "base64"; bytesMax?: number }; reply: { text: string; bytes: number; sha256: string }; at: ["path"] };',
  "file.list":
    '/** List a folder. */\n"file.list": { args: { /** Relative to the working directory */ path?: string }; reply: { entries: ({ name: string; kind: string })[] }; at: ["path"] };',
  "file.stat":
    '/** Tell what a path is; null when there is nothing. */\n"file.stat": { args: { /** Relative to the working directory */ path: string }; reply: { stat: { kind: string; bytes: number; modifiedMs: number } | null }; at: ["path"] };',
  "file.write":
    '/** Write a file, whole, in one step. */\n"file.write": { args: { /** Relative to the working directory */ path: string; text: string; encoding?: "utf8" | "base64"; /** create: it must not exist; replace: it must exist */ mode?: "create" | "replace" | "either" }; reply: { bytes: number; sha256: string }; at: ["path", "text"] };',
  "file.mkdir":
    '/** Make a folder in one that is there. */\n"file.mkdir": { args: { /** Relative to the working directory */ path: string }; reply: {}; at: ["path"] };',
  "file.move":
    '/** Move a file to a name that is free; a folder is moved file by file. */\n"file.move": { args: { /** Relative to the working directory */ from: string; /** Relative to the working directory */ to: string }; reply: {}; at: ["from", "to"] };',
  "file.remove":
    '/** Remove a file or an empty folder. */\n"file.remove": { args: { /** Relative to the working directory */ path: string }; reply: {}; at: ["path"] };',
  "net.fetch":
    '/** Make one request over the net; redirects are told, not followed. */\n"net.fetch": { args: { /** https://example.com/a?b=c */ url: string; method?: "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE"; /** Not who you are: that is what a credential says */ headers?: { [key: string]: string }; body?: string; /** Of the body */ encoding?: "utf8" | "base64"; /** Name of a credential that is sent along; its secret is never seen */ credential?: string; /** Send a header Idempotency-Key, the same if this is ever sent again */ idempotent?: boolean; timeoutMs?: number; /** Most bytes of the answer\'s body, unpacked */ bytesMax?: number }; reply: { url: string; status: number; headers: { [key: string]: string }; /** The media type, such as text/html */ type: string; text: string; /** Of the text */ encoding: "utf8" | "base64"; bytes: number; sha256: string; /** Where the answer leads; it was not followed */ redirect: { url: string; method: "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE"; /** Whether the body is to be sent there, too */ keepsBody: boolean; /** Else neither credential nor headers are meant for it */ isSameOrigin: boolean } | null; /** Why the body is not here although it was answered */ cut: Json }; at: ["url"] };',
  "model.generate":
    '/** Let a model take the next turn of a conversation. */\n"model.generate": { args: { /** provider/model */ model: string; /** A list object of messages; or give messages */ context?: string; /** How many items of it to use */ length?: number; messages?: ({ role: "system" | "user" | "assistant" | "tool"; [key: string]: Json | undefined })[]; system?: string; /** Begin with the own image\'s instructions */ instructions?: boolean; /** Whether the model may call the own tools */ tools?: boolean; maxOutputTokens?: number; temperature?: number; timeoutMs?: number; /** Media that the model does not take: told to it in words, or refused */ unsupported?: "say" | "refuse"; /** Most tokens of the prompt: pins, turns and what is recalled are fitted */ window?: number; /** How many passages to recall at most */ recall?: number; /** What to recall; the last turns by default */ query?: string }; reply: { text: string; calls: Json[]; [key: string]: Json | undefined }; at: ["model"] };',
  "context.pin":
    '/** Keep an object\'s newest value, word for word, in every prompt that has a window. */\n"context.pin": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string; /** negative: what is not so, or must not be done */ kind: "goal" | "constraint" | "decision" | "negative" | "fact"; /** A pinned object which no longer holds */ supersedes?: string }; reply: { pins: number }; at: ["object", "kind"] };',
  "context.unpin":
    '/** Let an object that was pinned leave the prompts. */\n"context.unpin": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ object: string }; reply: { pins: number }; at: ["object"] };',
  "context.inspect":
    '/** Tell what the next prompt would be made of, without asking a model. */\n"context.inspect": { args: { /** Whose way of counting is used */ model?: string; /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ context?: string; length?: number; window?: number; /** How many passages to recall at most */ recall?: number; /** What to recall; the last turns by default */ query?: string; instructions?: boolean; tools?: boolean; /** Whether the messages are shown themselves */ messages?: boolean }; reply: { manifest: { tokens: number; [key: string]: Json | undefined }; pins: ({ object: string; kind: string; [key: string]: Json | undefined })[]; messages?: Json[] }; at: ["model"] };',
  "context.compact":
    '/** Let a summary stand for the older turns of a conversation, in prompts with a window. */\n"context.compact": { args: { /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id */ context?: string; /** One past the last turn to summarize */ to?: number; /** Sentences are picked when absent */ summary?: string; window?: number; /** Whose way of counting is used */ model?: string }; reply: { summary: Json; from: number; to: number; tokens: number }; at: ["context"] };',
  "budget.inspect":
    '/** Tell what the caller may spend and has spent. */\n"budget.inspect": { args: { pid?: string }; reply: { limits: { modelCalls?: number; tokens?: number; usd?: number; toolCalls?: number; children?: number; depth?: number; wallMs?: number; bytes?: number }; spent: { [key: string]: number } }; at: ["pid"] };',
  "budget.limit":
    '/** Set limits of a process below the caller; its own it can only lower. */\n"budget.limit": { args: { pid: string; limits: { modelCalls?: number; tokens?: number; usd?: number; toolCalls?: number; children?: number; depth?: number; wallMs?: number; bytes?: number } }; reply: {}; at: ["pid"] };',
  "checkpoint.create":
    '/** Name the position the own tree is at now; costs one line. */\n"checkpoint.create": { args: { name: string }; reply: { checkpoint: string }; at: ["name"] };',
  "checkpoint.list":
    '/** List the checkpoints of the own tree, oldest first. */\n"checkpoint.list": { args: {}; reply: { checkpoints: ({ id: string; name: string; seq: number; by: string; auto: Json; atMs: number })[] }; at: [] };',
  "checkpoint.inspect":
    '/** Tell what the own tree was at a position: processes, objects, authority, requests. */\n"checkpoint.inspect": { args: { /** A checkpoint\'s id or name, or the number of a line */ at: string | number }; reply: { seq: number; [key: string]: Json | undefined }; at: ["at"] };',
  "checkpoint.diff":
    '/** Tell what differs between two positions of the own tree. */\n"checkpoint.diff": { args: { /** A checkpoint\'s id or name, or the number of a line */ from: string | number; /** Now, when absent */ to?: string | number }; reply: { changes: ({ id: string; [key: string]: Json | undefined })[] }; at: ["from"] };',
  "program.run":
    '/** Run a Deno script of the workspace; what it wants from Deno is judged as your own calls. */\n"program.run": { args: { /** Relative to the working directory */ path: string; args?: string[]; stdin?: string; env?: { [key: string]: string }; timeMs?: number }; reply: { code: number; exceeded: Json; stdout: string; stderr: string; bytesCut: number; allowed: number; denied: number; /** Requests to people; run it again once answered */ pending: string[] }; at: ["path"] };',
};
