/**
 * Every system call: what it takes and what it answers.
 *
 * Generated from the table by `deno task generate`; a test holds the two together.
 * @module
 */

import type { CapId, MessageId, ObjectId, Pid } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";

/** The calls by name. */
export interface Calls {
  /** Start a child process from an image, with a part of the own authority. */
  readonly "process.spawn": {
    /** What it takes. */
    readonly args: {
      /** The image. */
      readonly image: string;
      /** The goal. */
      readonly goal: string;
      /** Any JSON value. */
      readonly input?: Json | undefined;
      /** What it may do: each a part of what the parent may. */
      readonly grants?: readonly (string)[] | undefined;
      /** More ask and deny rules for it and what it starts, as policy text. */
      readonly rules?: string | undefined;
      /** Relative to the working directory. */
      readonly cwd?: string | undefined;
      /** The labels. */
      readonly labels?: { readonly [key: string]: string | undefined } | undefined;
      /** The budget. */
      readonly budget?: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      } | undefined;
      /** The priority. */
      readonly priority?: number | undefined;
      /** Generated tools of the own table that it sees, too. */
      readonly inherit?: readonly (string)[] | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pid. */
      readonly pid: Pid;
    };
  };
  /** Start a child that sees the own memory, copy-on-write. */
  readonly "process.fork": {
    /** What it takes. */
    readonly args: {
      /** The goal. */
      readonly goal?: string | undefined;
      /** Any JSON value. */
      readonly input?: Json | undefined;
      /** What it may do: each a part of what the parent may. */
      readonly grants?: readonly (string)[] | undefined;
      /** More ask and deny rules for it and what it starts, as policy text. */
      readonly rules?: string | undefined;
      /** Relative to the working directory. */
      readonly cwd?: string | undefined;
      /** The labels. */
      readonly labels?: { readonly [key: string]: string | undefined } | undefined;
      /** The budget. */
      readonly budget?: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      } | undefined;
      /** The priority. */
      readonly priority?: number | undefined;
      /** Generated tools of the own table that it sees, too. */
      readonly inherit?: readonly (string)[] | undefined;
      /** copy: all of the memory and authority; restricted: only what is named. */
      readonly mode?: "copy" | "restricted" | undefined;
      /** restricted: patterns of the names it sees. */
      readonly share?: readonly (string)[] | undefined;
      /** Its memory is released when it ends; only its result stays. */
      readonly ephemeral?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pid. */
      readonly pid: Pid;
    };
  };
  /** Start a child as a tree of its own, which any node may run; wait for it as for others. */
  readonly "process.detach": {
    /** What it takes. */
    readonly args: {
      /** The image. */
      readonly image: string;
      /** The goal. */
      readonly goal: string;
      /** Any JSON value. */
      readonly input?: Json | undefined;
      /** What it may do: each a part of what the parent may. */
      readonly grants?: readonly (string)[] | undefined;
      /** More ask and deny rules for it and what it starts, as policy text. */
      readonly rules?: string | undefined;
      /** Relative to the working directory. */
      readonly cwd?: string | undefined;
      /** The labels. */
      readonly labels?: { readonly [key: string]: string | undefined } | undefined;
      /** The budget. */
      readonly budget?: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      } | undefined;
      /** The priority. */
      readonly priority?: number | undefined;
      /** Labels that its node has to have, such as region=eu. */
      readonly nodeSelector?: { readonly [key: string]: string | undefined } | undefined;
      /** How many trees it may have below itself. */
      readonly trees?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pid. */
      readonly pid: Pid;
    };
  };
  /** Become another image, keeping identity, memory and authority. */
  readonly "process.exec": {
    /** What it takes. */
    readonly args: {
      /** The image. */
      readonly image: string;
      /** The goal. */
      readonly goal?: string | undefined;
    };
    /** What it answers. */
    readonly reply: null;
  };
  /** Wait until one of the own children has ended, and take its result. */
  readonly "process.wait": {
    /** What it takes. */
    readonly args: {
      /** The pids. */
      readonly pids: readonly (Pid)[];
      /** The timeout in milliseconds. */
      readonly timeoutMs?: number | undefined;
      /** Take over what the child left under "results/", as "from/<pid>/...". */
      readonly merge?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The ended. */
      readonly ended: {
        /** The pid. */
        readonly pid: Pid;
        /** The outcome. */
        readonly outcome: {
          /** The kind. */
          readonly kind: string;
          readonly [key: string]: Json | undefined;
        };
      } | null;
      /** The merged. */
      readonly merged: readonly (string)[];
    };
  };
  /** End, with a result. */
  readonly "process.exit": {
    /** What it takes. */
    readonly args: {
      /** Any JSON value. */
      readonly result?: Json | undefined;
      /** The code. */
      readonly code?: number | undefined;
    };
    /** What it answers. */
    readonly reply: null;
  };
  /** Pause, resume, cancel or kill a process and all it started. */
  readonly "process.signal": {
    /** What it takes. */
    readonly args: {
      /** The pid. */
      readonly pid: Pid;
      /** The signal. */
      readonly signal: "pause" | "resume" | "cancel" | "kill";
      /** The reason. */
      readonly reason?: string | undefined;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** List the caller and the processes below it. */
  readonly "process.list": {
    /** What it takes. */
    readonly args: {
      /** The ended. */
      readonly ended?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The processes. */
      readonly processes: readonly ({
        /** The pid. */
        readonly pid: Pid;
        /** The state. */
        readonly state: string;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Tell about a process: state, goal, budget, children. */
  readonly "process.inspect": {
    /** What it takes. */
    readonly args: {
      /** The pid. */
      readonly pid?: Pid | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pid. */
      readonly pid: Pid;
      /** The state. */
      readonly state: string;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Change the working directory. */
  readonly "process.chdir": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The cwd. */
      readonly cwd: string;
    };
  };
  /** Tell the working directory. */
  readonly "process.cwd": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The cwd. */
      readonly cwd: string;
    };
  };
  /** Keep a value under a new name. */
  readonly "object.create": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly name: string;
      /** The type. */
      readonly type?: string | undefined;
      /** Any JSON value. */
      readonly value?: Json | undefined;
      /** The mutable. */
      readonly mutable?: boolean | undefined;
      /** An append-only list instead of one value. */
      readonly list?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The object. */
      readonly object: ObjectId;
      /** The version. */
      readonly version: number;
    };
  };
  /** Read an object's value, or items of a list, and what it links to. */
  readonly "object.read": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** List: first item. */
      readonly from?: number | undefined;
      /** List: one past the last item. */
      readonly to?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** Any JSON value. */
      readonly value: Json;
      /** The version. */
      readonly version: number;
      /** Absent where there are none. */
      readonly links?:
        | readonly ({
          /** The relation. */
          readonly relation: string;
          /** The to. */
          readonly to: ObjectId;
        })[]
        | undefined;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Replace a mutable object's value, if it has not changed since it was read. */
  readonly "object.write": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** Any JSON value. */
      readonly value: Json;
      /** The from. */
      readonly from: number;
    };
    /** What it answers. */
    readonly reply: {
      /** The version. */
      readonly version: number;
    };
  };
  /** Add an item at the end of a list. */
  readonly "object.append": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** Any JSON value. */
      readonly item: Json;
    };
    /** What it answers. */
    readonly reply: {
      /** The version. */
      readonly version: number;
    };
  };
  /** Delete an object. */
  readonly "object.delete": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** List objects under a prefix. */
  readonly "object.list": {
    /** What it takes. */
    readonly args: {
      /** Such as notes; all of the own memory. */
      readonly prefix?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The objects. */
      readonly objects: readonly ({
        /** The name. */
        readonly name: string;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Find objects by words in their text, best first. */
  readonly "object.find": {
    /** What it takes. */
    readonly args: {
      /** The query. */
      readonly query: string;
      /** The prefix. */
      readonly prefix?: string | undefined;
      /** The limit. */
      readonly limit?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The found. */
      readonly found: readonly ({
        /** The name. */
        readonly name: string;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Link one object to another by a relation. */
  readonly "object.link": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** The relation. */
      readonly relation: string;
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly to: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Keep a file's content as an object, without it passing through the caller. */
  readonly "object.import": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly name: string;
      /** What it has to be; what its content says when absent. */
      readonly type?: "text" | "image" | "audio" | "video" | "document" | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The object. */
      readonly object: ObjectId;
      /** The version. */
      readonly version: number;
      /** The bytes. */
      readonly bytes: number;
      /** The type. */
      readonly type: string;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Write an object's value into a file, without it passing through the caller. */
  readonly "object.export": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** Relative to the working directory. */
      readonly path: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The bytes. */
      readonly bytes: number;
      /** The sha256. */
      readonly sha256: string;
    };
  };
  /** Make a namespace that processes of the tree can be given rights in. */
  readonly "namespace.create": {
    /** What it takes. */
    readonly args: {
      /** The name. */
      readonly name: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The name. */
      readonly name: string;
    };
  };
  /** List the namespaces the caller owns. */
  readonly "namespace.list": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The namespaces. */
      readonly namespaces: readonly (string)[];
    };
  };
  /** List the capabilities the caller can use. */
  readonly "capability.list": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The capabilities. */
      readonly capabilities: readonly ({
        /** The id. */
        readonly id: CapId;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Tell about one capability of the caller, or derived from one. */
  readonly "capability.inspect": {
    /** What it takes. */
    readonly args: {
      /** The capability. */
      readonly capability: CapId;
    };
    /** What it answers. */
    readonly reply: {
      /** The id. */
      readonly id: CapId;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Tell whether the caller may do something, why, and what the least grant would be. */
  readonly "capability.explain": {
    /** What it takes. */
    readonly args: {
      /** right(resource), such as file.read(./src/**). */
      readonly rule: string;
      /** The args. */
      readonly args?: { readonly [key: string]: Json | undefined } | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The decision. */
      readonly decision: string;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Hand a part of a capability to another process of the tree. */
  readonly "capability.delegate": {
    /** What it takes. */
    readonly args: {
      /** The to. */
      readonly to: Pid;
      /** right(resource), such as file.read(./src/**). */
      readonly rule: string;
      /** Which to derive from; else one that covers. */
      readonly capability?: CapId | undefined;
      /** JSON Schema over the call's arguments. */
      readonly constraint?: { readonly [key: string]: Json | undefined } | undefined;
      /** The uses. */
      readonly uses?: number | undefined;
      /** The for in milliseconds. */
      readonly forMs?: number | undefined;
      /** The delegable. */
      readonly delegable?: boolean | undefined;
      /** How many times, one after another, it may be handed on. */
      readonly depth?: number | undefined;
      /** Most bytes that one call may move; only calls that say how many. */
      readonly bytes?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The capability. */
      readonly capability: CapId;
    };
  };
  /** Take back a capability the caller holds or derived, and all derived from it. */
  readonly "capability.revoke": {
    /** What it takes. */
    readonly args: {
      /** The capability. */
      readonly capability: CapId;
      /** The reason. */
      readonly reason?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The revoked. */
      readonly revoked: readonly (CapId)[];
    };
  };
  /** Ask a person for a right that the caller does not have, inside the tree's ceiling. */
  readonly "capability.request": {
    /** What it takes. */
    readonly args: {
      /** right(resource), such as file.read(./src/**). */
      readonly rule: string;
      /** The reason. */
      readonly reason: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The granted. */
      readonly granted: true;
      /** The until. */
      readonly until: Json;
    };
  };
  /** Ask a person a question, and wait for the answer. */
  readonly "human.ask": {
    /** What it takes. */
    readonly args: {
      /** The prompt. */
      readonly prompt: string;
      /** The choices. */
      readonly choices?: readonly (string)[] | undefined;
      /** JSON Schema of the answer. */
      readonly schema?: { readonly [key: string]: Json | undefined } | undefined;
      /** The who. */
      readonly who?: string | undefined;
      /** The expires in milliseconds. */
      readonly expiresMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** Any JSON value. */
      readonly answer: Json;
      /** The by. */
      readonly by: string;
    };
  };
  /** Tell a person something, without waiting. */
  readonly "human.tell": {
    /** What it takes. */
    readonly args: {
      /** The message. */
      readonly message: string;
      /** The who. */
      readonly who?: string | undefined;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Send a message to a process; it stays until it is received. */
  readonly "message.send": {
    /** What it takes. */
    readonly args: {
      /** The to. */
      readonly to: Pid;
      /** The type. */
      readonly type?: string | undefined;
      /** Any JSON value. */
      readonly data: Json;
      /** The reply to. */
      readonly replyTo?: MessageId | undefined;
      /** End whatever the receiver waits for. */
      readonly interrupt?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The message. */
      readonly message: MessageId | null;
    };
  };
  /** Take messages from the own mailbox, waiting for one when there is none. */
  readonly "message.receive": {
    /** What it takes. */
    readonly args: {
      /** The filter. */
      readonly filter?: {
        /** The from. */
        readonly from?: string | undefined;
        /** The type. */
        readonly type?: string | undefined;
        /** The reply to. */
        readonly replyTo?: MessageId | undefined;
      } | undefined;
      /** The max. */
      readonly max?: number | undefined;
      /** 0: do not wait. */
      readonly timeoutMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The messages. */
      readonly messages: readonly ({
        /** The id. */
        readonly id: MessageId;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Tell the time, in milliseconds since 1970 and as text. */
  readonly "clock.now": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The ms. */
      readonly ms: number;
      /** The iso. */
      readonly iso: string;
    };
  };
  /** Wait a moment in place, without being parked. */
  readonly "clock.wait": {
    /** What it takes. */
    readonly args: {
      /** The ms. */
      readonly ms: number;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Sleep; costs nothing, and outlives restarts. */
  readonly "clock.sleep": {
    /** What it takes. */
    readonly args: {
      /** The ms. */
      readonly ms: number;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Give random bytes, as base64. */
  readonly "random.bytes": {
    /** What it takes. */
    readonly args: {
      /** The length. */
      readonly length: number;
    };
    /** What it answers. */
    readonly reply: {
      /** The base64. */
      readonly base64: string;
    };
  };
  /** Read a file. */
  readonly "file.read": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
      /** The encoding. */
      readonly encoding?: "utf8" | "base64" | undefined;
      /** The bytes max. */
      readonly bytesMax?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The text. */
      readonly text: string;
      /** The bytes. */
      readonly bytes: number;
      /** The sha256. */
      readonly sha256: string;
    };
  };
  /** List a folder. */
  readonly "file.list": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The entries. */
      readonly entries: readonly ({
        /** The name. */
        readonly name: string;
        /** The kind. */
        readonly kind: string;
      })[];
    };
  };
  /** Tell what a path is; null when there is nothing. */
  readonly "file.stat": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The stat. */
      readonly stat: {
        /** The kind. */
        readonly kind: string;
        /** The bytes. */
        readonly bytes: number;
        /** The modified in milliseconds. */
        readonly modifiedMs: number;
      } | null;
    };
  };
  /** Write a file, whole, in one step. */
  readonly "file.write": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
      /** The text. */
      readonly text: string;
      /** The encoding. */
      readonly encoding?: "utf8" | "base64" | undefined;
      /** create: it must not exist; replace: it must exist. */
      readonly mode?: "create" | "replace" | "either" | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The bytes. */
      readonly bytes: number;
      /** The sha256. */
      readonly sha256: string;
    };
  };
  /** Make a folder in one that is there. */
  readonly "file.mkdir": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Move a file to a name that is free; a folder is moved file by file. */
  readonly "file.move": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly from: string;
      /** Relative to the working directory. */
      readonly to: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Remove a file or an empty folder. */
  readonly "file.remove": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Run a program with arguments, without a shell, and wait for its end. */
  readonly "shell.run": {
    /** What it takes. */
    readonly args: {
      /** A name ("git"), or a path in the workspace ("./run.sh"). */
      readonly program: string;
      /** Each as the program gets it; nothing in them is expanded. */
      readonly args?: readonly (string)[] | undefined;
      /** The working directory; the own one by default. */
      readonly cwd?: string | undefined;
      /** What it reads. */
      readonly stdin?: string | undefined;
      /** Names beside PATH, HOME and LANG. */
      readonly env?: { readonly [key: string]: string | undefined } | undefined;
      /** It is ended after so long. */
      readonly timeMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The code. */
      readonly code: number;
      /** The signal. */
      readonly signal: Json;
      /** The stdout. */
      readonly stdout: string;
      /** The stderr. */
      readonly stderr: string;
      /** Bytes of each that were left out in its middle. */
      readonly cut: {
        /** The stdout. */
        readonly stdout: number;
        /** The stderr. */
        readonly stderr: number;
      };
      /** The limit for which it was ended. */
      readonly exceeded: Json;
      /** The program. */
      readonly program: {
        /** The path. */
        readonly path: string;
        /** The sha256. */
        readonly sha256: string;
      };
      /** Whether it saw no more than the caller may. */
      readonly confined: boolean;
    };
  };
  /** Make one request over the net; redirects are told, not followed. */
  readonly "net.fetch": {
    /** What it takes. */
    readonly args: {
      /** https://example.com/a?b=c. */
      readonly url: string;
      /** The method. */
      readonly method?:
        | "GET"
        | "HEAD"
        | "OPTIONS"
        | "POST"
        | "PUT"
        | "PATCH"
        | "DELETE"
        | undefined;
      /** Not who you are: that is what a credential says. */
      readonly headers?: { readonly [key: string]: string | undefined } | undefined;
      /** The body. */
      readonly body?: string | undefined;
      /** Of the body. */
      readonly encoding?: "utf8" | "base64" | undefined;
      /** Name of a credential that is sent along; its secret is never seen. */
      readonly credential?: string | undefined;
      /** Send a header Idempotency-Key, the same if this is ever sent again. */
      readonly idempotent?: boolean | undefined;
      /** The timeout in milliseconds. */
      readonly timeoutMs?: number | undefined;
      /** Most bytes of the answer's body, unpacked. */
      readonly bytesMax?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The url. */
      readonly url: string;
      /** The status. */
      readonly status: number;
      /** The headers. */
      readonly headers: { readonly [key: string]: string | undefined };
      /** The media type, such as text/html. */
      readonly type: string;
      /** The text. */
      readonly text: string;
      /** Of the text. */
      readonly encoding: "utf8" | "base64";
      /** The bytes. */
      readonly bytes: number;
      /** The sha256. */
      readonly sha256: string;
      /** Where the answer leads; it was not followed. */
      readonly redirect: {
        /** The url. */
        readonly url: string;
        /** The method. */
        readonly method: "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE";
        /** Whether the body is to be sent there, too. */
        readonly keepsBody: boolean;
        /** Else neither credential nor headers are meant for it. */
        readonly isSameOrigin: boolean;
      } | null;
      /** Why the body is not here although it was answered. */
      readonly cut: Json;
    };
  };
  /** Let a model take the next turn of a conversation. */
  readonly "model.generate": {
    /** What it takes. */
    readonly args: {
      /** provider/model. */
      readonly model: string;
      /** A list object of messages; or give messages. */
      readonly context?: string | undefined;
      /** How many items of it to use. */
      readonly length?: number | undefined;
      /** The messages. */
      readonly messages?:
        | readonly ({
          /** The role. */
          readonly role: "system" | "user" | "assistant" | "tool";
          readonly [key: string]: Json | undefined;
        })[]
        | undefined;
      /** The system. */
      readonly system?: string | undefined;
      /** Begin with the own image's instructions. */
      readonly instructions?: boolean | undefined;
      /** Whether the model may call the own tools. */
      readonly tools?: boolean | undefined;
      /** The max output tokens. */
      readonly maxOutputTokens?: number | undefined;
      /** The temperature. */
      readonly temperature?: number | undefined;
      /** The timeout in milliseconds. */
      readonly timeoutMs?: number | undefined;
      /** Media that the model does not take: told to it in words, or refused. */
      readonly unsupported?: "say" | "refuse" | undefined;
      /** Most tokens of the prompt: pins, turns and what is recalled are fitted. */
      readonly window?: number | undefined;
      /** How many passages to recall at most. */
      readonly recall?: number | undefined;
      /** What to recall; the last turns by default. */
      readonly query?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The text. */
      readonly text: string;
      /** The calls. */
      readonly calls: readonly (Json)[];
      readonly [key: string]: Json | undefined;
    };
  };
  /** List what a mounted MCP server offers: tools, resources and prompts. */
  readonly "mcp.list": {
    /** What it takes. */
    readonly args: {
      /** The server. */
      readonly server: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The server. */
      readonly server: string;
      /** The tools. */
      readonly tools: readonly ({
        /** The tool. */
        readonly tool: string;
        /** The name. */
        readonly name: string;
        /** The state. */
        readonly state: string;
      })[];
      /** The readables. */
      readonly readables: readonly ({
        /** The kind. */
        readonly kind: string;
        /** The name. */
        readonly name: string;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Call a tool of a mounted MCP server. */
  readonly "mcp.call": {
    /** What it takes. */
    readonly args: {
      /** The server. */
      readonly server: string;
      /** The tool. */
      readonly tool: string;
      /** The arguments. */
      readonly arguments?: { readonly [key: string]: Json | undefined } | undefined;
      /** Answers to what the server asked when it was called before. */
      readonly replies?: {
        readonly [key: string]: {
          /** The action. */
          readonly action: "accept";
          /** Any JSON value. */
          readonly content: Json;
        } | {
          /** The action. */
          readonly action: "decline" | "cancel";
        } | undefined;
      } | undefined;
      /** What the server wants back with them. */
      readonly state?: string | null | undefined;
      /** The timeout in milliseconds. */
      readonly timeoutMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The kind. */
      readonly kind: "done";
      /** The content. */
      readonly content: readonly (Json)[];
      /** Any JSON value. */
      readonly structured: Json;
      /** The is error. */
      readonly isError: boolean;
    } | {
      /** The kind. */
      readonly kind: "asks";
      /** The questions. */
      readonly questions: readonly ({
        /** The key. */
        readonly key: string;
        /** The message. */
        readonly message: string;
        /** JSON Schema of the answer. */
        readonly schema: { readonly [key: string]: Json | undefined };
      })[];
      /** The state. */
      readonly state: Json;
    };
  };
  /** Read a resource or a prompt of a mounted MCP server. */
  readonly "mcp.read": {
    /** What it takes. */
    readonly args: {
      /** The server. */
      readonly server: string;
      /** URI of a resource, or the name of a prompt. */
      readonly uri: string;
      /** Arguments of a prompt; leave out for a resource. */
      readonly prompt?: { readonly [key: string]: string | undefined } | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The contents. */
      readonly contents: readonly (Json)[];
    };
  };
  /** Keep a resource or a prompt of a mounted MCP server as an object. */
  readonly "mcp.import": {
    /** What it takes. */
    readonly args: {
      /** The server. */
      readonly server: string;
      /** URI of a resource, or the name of a prompt. */
      readonly uri: string;
      /** Arguments of a prompt; leave out for a resource. */
      readonly prompt?: { readonly [key: string]: string | undefined } | undefined;
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly name: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The object. */
      readonly object: ObjectId;
      /** The version. */
      readonly version: number;
    };
  };
  /** Ask a world model what actions would do; nothing is done. */
  readonly "model.simulate": {
    /** What it takes. */
    readonly args: {
      /** provider/model of a simulator. */
      readonly model: string;
      /** The actions. */
      readonly actions: readonly ({
        /** The action. */
        readonly action: string;
        /** Any JSON value. */
        readonly args?: Json | undefined;
        /** The at in milliseconds. */
        readonly atMs?: number | undefined;
      })[];
      /** How things stand. */
      readonly state?: string | undefined;
      /** What it is shown of it. */
      readonly objects?: readonly (string)[] | undefined;
      /** The timeout in milliseconds. */
      readonly timeoutMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The outcome. */
      readonly outcome: string;
      readonly [key: string]: Json | undefined;
    };
  };
  /** List the skills that can be loaded, with what each is for. */
  readonly "skill.list": {
    /** What it takes. */
    readonly args: {
      /** Only this one, with its files. */
      readonly skill?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The skills. */
      readonly skills: readonly ({
        /** The name. */
        readonly name: string;
        readonly [key: string]: Json | undefined;
      })[];
      /** The refused. */
      readonly refused: readonly (string)[];
      /** The files. */
      readonly files?: readonly (string)[] | undefined;
    };
  };
  /** Read a file of a skill: its instructions, a reference, a script as text. */
  readonly "skill.read": {
    /** What it takes. */
    readonly args: {
      /** The skill. */
      readonly skill: string;
      /** Relative to the working directory. */
      readonly path?: string | undefined;
      /** The encoding. */
      readonly encoding?: "utf8" | "base64" | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The text. */
      readonly text: string;
      /** The bytes. */
      readonly bytes: number;
      /** The sha256. */
      readonly sha256: string;
    };
  };
  /** Put a skill's instructions into every prompt from now on; it grants nothing. */
  readonly "skill.load": {
    /** What it takes. */
    readonly args: {
      /** The skill. */
      readonly skill: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The object. */
      readonly object: string;
      /** The description. */
      readonly description: string;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Let a skill that was loaded leave the prompts. */
  readonly "skill.unload": {
    /** What it takes. */
    readonly args: {
      /** The skill. */
      readonly skill: string;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Keep an object's newest value, word for word, in every prompt that has a window. */
  readonly "context.pin": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** negative: what is not so, or must not be done. */
      readonly kind: "goal" | "constraint" | "decision" | "negative" | "fact";
      /** A pinned object which no longer holds. */
      readonly supersedes?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pins. */
      readonly pins: number;
    };
  };
  /** Let an object that was pinned leave the prompts. */
  readonly "context.unpin": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The pins. */
      readonly pins: number;
    };
  };
  /** Tell what the next prompt would be made of, without asking a model. */
  readonly "context.inspect": {
    /** What it takes. */
    readonly args: {
      /** Whose way of counting is used. */
      readonly model?: string | undefined;
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly context?: string | undefined;
      /** The length. */
      readonly length?: number | undefined;
      /** The window. */
      readonly window?: number | undefined;
      /** How many passages to recall at most. */
      readonly recall?: number | undefined;
      /** What to recall; the last turns by default. */
      readonly query?: string | undefined;
      /** The instructions. */
      readonly instructions?: boolean | undefined;
      /** The tools. */
      readonly tools?: boolean | undefined;
      /** Whether the messages are shown themselves. */
      readonly messages?: boolean | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The manifest. */
      readonly manifest: {
        /** The tokens. */
        readonly tokens: number;
        readonly [key: string]: Json | undefined;
      };
      /** The pins. */
      readonly pins: readonly ({
        /** The object. */
        readonly object: string;
        /** The kind. */
        readonly kind: string;
        readonly [key: string]: Json | undefined;
      })[];
      /** The messages. */
      readonly messages?: readonly (Json)[] | undefined;
    };
  };
  /** Let a summary stand for the older turns of a conversation, in prompts with a window. */
  readonly "context.compact": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly context?: string | undefined;
      /** One past the last turn to summarize. */
      readonly to?: number | undefined;
      /** Sentences are picked when absent. */
      readonly summary?: string | undefined;
      /** The window. */
      readonly window?: number | undefined;
      /** Whose way of counting is used. */
      readonly model?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The summary. */
      readonly summary: Json;
      /** The from. */
      readonly from: number;
      /** The to. */
      readonly to: number;
      /** The tokens. */
      readonly tokens: number;
    };
  };
  /** List the tools in the own tool table. */
  readonly "tool.list": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The tools. */
      readonly tools: readonly ({
        /** The name. */
        readonly name: string;
        /** The description. */
        readonly description: string;
        /** The input schema. */
        readonly inputSchema: { readonly [key: string]: Json | undefined };
        /** The generated. */
        readonly generated: {
          /** The version: what tool.propose answered. */
          readonly tool: string;
          /** The rights. */
          readonly rights: readonly (string)[];
        } | null;
      })[];
    };
  };
  /** Call a tool of the own tool table. */
  readonly "tool.call": {
    /** What it takes. */
    readonly args: {
      /** The name. */
      readonly name: string;
      /** Any JSON value. */
      readonly input?: Json | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** Any JSON value. */
      readonly output: Json;
      /** The logs. */
      readonly logs?: readonly (string)[] | undefined;
      /** The edited. */
      readonly edited?:
        | readonly ({
          /** The call. */
          readonly call: string;
          /** Any JSON value. */
          readonly asked: Json;
          /** Any JSON value. */
          readonly done: Json;
          /** The by. */
          readonly by: string;
          /** The note. */
          readonly note?: string | undefined;
        })[]
        | undefined;
    };
  };
  /** Tell how to write a tool: the contract, the calls it can make, examples. */
  readonly "tool.guide": {
    /** What it takes. */
    readonly args: {
      /** Only the declarations of these calls, such as file.read. */
      readonly calls?: readonly (string)[] | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The guide. */
      readonly guide: string;
    };
  };
  /** Propose a tool written in TypeScript; the guide tells how. */
  readonly "tool.propose": {
    /** What it takes. */
    readonly args: {
      /** The name. */
      readonly name: string;
      /** The description. */
      readonly description: string;
      /** JSON Schema of its input, an object. */
      readonly inputSchema: { readonly [key: string]: Json | undefined };
      /** JSON Schema of its output. */
      readonly outputSchema?: { readonly [key: string]: Json | undefined } | undefined;
      /** TypeScript: export default async (input, os) => output. */
      readonly source: string;
      /** The most a call of it may use, such as file.read(./data/**). */
      readonly rights?: readonly (string)[] | undefined;
      /** The tests. */
      readonly tests?:
        | readonly ({
          /** The name. */
          readonly name: string;
          /** Any JSON value. */
          readonly input: Json;
          /** The calls it must make, in order, and what they answer. */
          readonly calls?:
            | readonly ({
              /** The name. */
              readonly name: string;
              /** Any JSON value. */
              readonly args?: Json | undefined;
              /** Any JSON value. */
              readonly reply?: Json | undefined;
              /** The error. */
              readonly error?: {
                /** The code. */
                readonly code: string;
                /** The message. */
                readonly message?: string | undefined;
              } | undefined;
            })[]
            | undefined;
          /** Any JSON value. */
          readonly output?: Json | undefined;
          /** The code it must fail with, in place of an output. */
          readonly error?: {
            /** The code. */
            readonly code: string;
          } | undefined;
        })[]
        | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The version: what tool.propose answered. */
      readonly tool: string;
    };
  };
  /** Run the tests of a proposed tool in a cage, against scripted answers. */
  readonly "tool.test": {
    /** What it takes. */
    readonly args: {
      /** The version: what tool.propose answered. */
      readonly tool: string;
      /** More tests, besides its own. */
      readonly tests?:
        | readonly ({
          /** The name. */
          readonly name: string;
          /** Any JSON value. */
          readonly input: Json;
          /** The calls it must make, in order, and what they answer. */
          readonly calls?:
            | readonly ({
              /** The name. */
              readonly name: string;
              /** Any JSON value. */
              readonly args?: Json | undefined;
              /** Any JSON value. */
              readonly reply?: Json | undefined;
              /** The error. */
              readonly error?: {
                /** The code. */
                readonly code: string;
                /** The message. */
                readonly message?: string | undefined;
              } | undefined;
            })[]
            | undefined;
          /** Any JSON value. */
          readonly output?: Json | undefined;
          /** The code it must fail with, in place of an output. */
          readonly error?: {
            /** The code. */
            readonly code: string;
          } | undefined;
        })[]
        | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The passed. */
      readonly passed: number;
      /** The failed. */
      readonly failed: number;
      /** The results. */
      readonly results: readonly ({
        /** The name. */
        readonly name: string;
        /** The passed. */
        readonly passed: boolean;
        /** The why. */
        readonly why: string;
        /** The logs. */
        readonly logs: readonly (string)[];
      })[];
    };
  };
  /** Put a proposed tool into the own tool table; a person may have to look at it first. */
  readonly "tool.register": {
    /** What it takes. */
    readonly args: {
      /** The version: what tool.propose answered. */
      readonly tool: string;
      /** Limits of a run; more than usual takes tool.limit. */
      readonly limits?: {
        /** The argument bytes. */
        readonly argumentBytes?: number | undefined;
        /** The reply bytes. */
        readonly replyBytes?: number | undefined;
        /** The result bytes. */
        readonly resultBytes?: number | undefined;
        /** The log bytes. */
        readonly logBytes?: number | undefined;
        /** The json depth. */
        readonly jsonDepth?: number | undefined;
        /** The calls outstanding. */
        readonly callsOutstanding?: number | undefined;
        /** The calls. */
        readonly calls?: number | undefined;
        /** The timers. */
        readonly timers?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The cpu in milliseconds. */
        readonly cpuMs?: number | undefined;
        /** The memory bytes. */
        readonly memoryBytes?: number | undefined;
      } | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The name. */
      readonly name: string;
      /** The version: what tool.propose answered. */
      readonly tool: string;
    };
  };
  /** Take a generated tool out of the own tool table; a run of it is stopped. */
  readonly "tool.unregister": {
    /** What it takes. */
    readonly args: {
      /** The name. */
      readonly name: string;
      /** The reason. */
      readonly reason?: string | undefined;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Tell what the caller may spend and has spent. */
  readonly "budget.inspect": {
    /** What it takes. */
    readonly args: {
      /** The pid. */
      readonly pid?: Pid | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The limits. */
      readonly limits: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      };
      /** The spent. */
      readonly spent: { readonly [key: string]: number | undefined };
    };
  };
  /** Set limits of a process below the caller; its own it can only lower. */
  readonly "budget.limit": {
    /** What it takes. */
    readonly args: {
      /** The pid. */
      readonly pid: Pid;
      /** The limits. */
      readonly limits: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      };
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Ask a person for more to spend, as new limits of the caller, and wait for the answer. */
  readonly "budget.raise": {
    /** What it takes. */
    readonly args: {
      /** The limits. */
      readonly limits: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      };
      /** The reason. */
      readonly reason: string;
    };
    /** What it answers. */
    readonly reply: {
      /** What was given, which may be less than was asked for. */
      readonly given: {
        /** The model calls. */
        readonly modelCalls?: number | undefined;
        /** The tokens. */
        readonly tokens?: number | undefined;
        /** The usd. */
        readonly usd?: number | undefined;
        /** The tool calls. */
        readonly toolCalls?: number | undefined;
        /** The children. */
        readonly children?: number | undefined;
        /** The depth. */
        readonly depth?: number | undefined;
        /** The wall in milliseconds. */
        readonly wallMs?: number | undefined;
        /** The bytes. */
        readonly bytes?: number | undefined;
      };
      /** The by. */
      readonly by: string;
      /** The note. */
      readonly note?: string | undefined;
    };
  };
  /** Name the position the own tree is at now; costs one line. */
  readonly "checkpoint.create": {
    /** What it takes. */
    readonly args: {
      /** The name. */
      readonly name: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The checkpoint. */
      readonly checkpoint: string;
    };
  };
  /** List the checkpoints of the own tree, oldest first. */
  readonly "checkpoint.list": {
    /** What it takes. */
    readonly args: Record<string, never>;
    /** What it answers. */
    readonly reply: {
      /** The checkpoints. */
      readonly checkpoints: readonly ({
        /** The id. */
        readonly id: string;
        /** The name. */
        readonly name: string;
        /** The seq. */
        readonly seq: number;
        /** The by. */
        readonly by: string;
        /** The auto. */
        readonly auto: Json;
        /** The at in milliseconds. */
        readonly atMs: number;
      })[];
    };
  };
  /** Tell what the own tree was at a position: processes, objects, authority, requests. */
  readonly "checkpoint.inspect": {
    /** What it takes. */
    readonly args: {
      /** A checkpoint's id or name, or the number of a line. */
      readonly at: string | number;
    };
    /** What it answers. */
    readonly reply: {
      /** The seq. */
      readonly seq: number;
      readonly [key: string]: Json | undefined;
    };
  };
  /** Take the own tree back to a checkpoint; effects stand, and a message says so there. */
  readonly "checkpoint.restore": {
    /** What it takes. */
    readonly args: {
      /** A checkpoint's name or id. */
      readonly to: string;
      /** What is to be different this time. */
      readonly reason: string;
    };
    /** What it answers. */
    readonly reply: null;
  };
  /** Start a new tree from a checkpoint of the own one; it knows nothing of this one. */
  readonly "checkpoint.fork": {
    /** What it takes. */
    readonly args: {
      /** A checkpoint's name or id. */
      readonly from: string;
      /** What its root is told first. */
      readonly message?: string | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The pid. */
      readonly pid: Pid;
    };
  };
  /** Tell what differs between two positions of the own tree. */
  readonly "checkpoint.diff": {
    /** What it takes. */
    readonly args: {
      /** A checkpoint's id or name, or the number of a line. */
      readonly from: string | number;
      /** Now, when absent. */
      readonly to?: string | number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The changes. */
      readonly changes: readonly ({
        /** The id. */
        readonly id: string;
        readonly [key: string]: Json | undefined;
      })[];
    };
  };
  /** Run a Deno script of the workspace; what it wants from Deno is judged as your own calls. */
  readonly "program.run": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly path: string;
      /** The args. */
      readonly args?: readonly (string)[] | undefined;
      /** The stdin. */
      readonly stdin?: string | undefined;
      /** The env. */
      readonly env?: { readonly [key: string]: string | undefined } | undefined;
      /** The time in milliseconds. */
      readonly timeMs?: number | undefined;
    };
    /** What it answers. */
    readonly reply: {
      /** The code. */
      readonly code: number;
      /** The exceeded. */
      readonly exceeded: Json;
      /** The stdout. */
      readonly stdout: string;
      /** The stderr. */
      readonly stderr: string;
      /** The bytes cut. */
      readonly bytesCut: number;
      /** The allowed. */
      readonly allowed: number;
      /** The denied. */
      readonly denied: number;
      /** Requests to people; run it again once answered. */
      readonly pending: readonly (string)[];
    };
  };
  /** Ask for what a running program wants from Deno. */
  readonly "program.check": {
    /** What it takes. */
    readonly args: {
      /** Relative to the working directory. */
      readonly program: string;
      /** The permission. */
      readonly permission: "read" | "write" | "net" | "env" | "sys" | "run" | "import" | "ffi";
      /** The value. */
      readonly value: string | null;
    };
    /** What it answers. */
    readonly reply: Record<string, never>;
  };
  /** Keep a copy of one version of an object under a new name, with a lower label. */
  readonly "label.declassify": {
    /** What it takes. */
    readonly args: {
      /** A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id. */
      readonly object: string;
      /** Which version was looked at. */
      readonly version: number;
      /** Of the copy, which cannot be changed. */
      readonly name: string;
      /** As it was, when absent. */
      readonly sensitivity?: "public" | "internal" | "confidential" | "secret" | undefined;
      /** As it was, when absent. */
      readonly trust?: "untrusted" | "user" | "trusted" | undefined;
      /** The reason. */
      readonly reason: string;
    };
    /** What it answers. */
    readonly reply: {
      /** The object. */
      readonly object: ObjectId;
      /** The version. */
      readonly version: number;
      /** The label. */
      readonly label: {
        /** The sensitivity. */
        readonly sensitivity: "public" | "internal" | "confidential" | "secret";
        /** The trust. */
        readonly trust: "untrusted" | "user" | "trusted";
        /** The origin. */
        readonly origin?: readonly (string)[] | undefined;
      };
    };
  };
}
