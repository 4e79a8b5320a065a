/**
 * One source against the types of the port, inside the child.
 *
 * Invariants:
 *   K1. The compiler knows the files handed to it here and no others: it has no file system.
 *   K2. A place that is reported is a place in the tool's own text.
 *   K3. Nothing of one check reaches the next but the libraries, which no source can change.
 * @module
 */

import type ts from "typescript";
import type { Checked } from "../../broker/sandbox.ts";
import type { JsonObject } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { sentenceOf } from "./message.ts";
import { schemaTypes } from "./schema.ts";
import {
  depthProblems,
  type Found,
  RESERVED,
  syntaxProblems,
  toolOf,
  type TypeScript,
} from "./syntax.ts";
import { Places } from "./text.ts";

/** The library that a tool is checked against. */
export const LIBRARY = "lib.es2023.d.ts";

const TOOL = "/tool.ts";
const SCHEMAS = "/schemas.d.ts";
const PORT = "/port.d.ts";
const LIBRARIES = "/lib";

/** What is checked. */
export interface Source {
  readonly source: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema: JsonObject | null;
}

/** What a checker is made of. */
export interface CheckerParts {
  readonly typescript: TypeScript;
  /** The compiler's own library files, by name. */
  readonly libraries: ReadonlyMap<string, string>;
  /** Declarations of the port and the globals. */
  readonly port: string;
}

/** Checks sources. Throws what the compiler throws, and is not to be used again then. */
export class Checker {
  readonly #ts: TypeScript;
  readonly #fixed = new Map<string, ts.SourceFile>();
  readonly #options: ts.CompilerOptions;
  #program: ts.Program | undefined;

  /** Reads the libraries once. */
  constructor({ typescript, libraries, port }: CheckerParts) {
    this.#ts = typescript;
    this.#options = optionsOf(typescript);
    for (const [name, text] of libraries) this.#fix(`${LIBRARIES}/${name}`, text);
    this.#fix(PORT, port);
  }

  /** What is wrong with a source, or its JavaScript. */
  check(tool: Source): Checked {
    const file = this.#parse(TOOL, tool.source);
    const deep = depthProblems(this.#ts, file);
    if (deep.length > 0) return this.#refused(tool.source, deep);
    const { outputText, diagnostics = [] } = this.#transpile(tool.source);
    const found = diagnostics.length > 0
      ? diagnostics.map((one) => this.#found(one))
      : this.#problems(tool, file);
    return found.length > 0 ? this.#refused(tool.source, found) : { ok: true, code: outputText };
  }

  #problems(tool: Source, file: ts.SourceFile): readonly Found[] {
    const wrong = syntaxProblems(this.#ts, file);
    if (wrong.length > 0) return wrong;
    const typed = new TypedSource(this.#ts, file);
    const found = this.#typeErrors(tool, typed.text);
    return found.map(({ at, message }) => ({ at: typed.original(at), message }));
  }

  #typeErrors(tool: Source, text: string): readonly Found[] {
    const current = new Map([
      [TOOL, this.#parse(TOOL, text)],
      [SCHEMAS, this.#parse(SCHEMAS, schemaTypes(tool.inputSchema, tool.outputSchema))],
    ]);
    const program = this.#ts.createProgram({
      rootNames: [PORT, SCHEMAS, TOOL],
      options: this.#options,
      host: this.#host(current),
      ...(this.#program === undefined ? {} : { oldProgram: this.#program }),
    });
    this.#program = program;
    return program.getSemanticDiagnostics(current.get(TOOL)).map((one) => this.#found(one));
  }

  #host(current: ReadonlyMap<string, ts.SourceFile>): ts.CompilerHost {
    const file = (name: string) => current.get(name) ?? this.#fixed.get(name);
    return {
      getSourceFile: file,
      fileExists: (name) => file(name) !== undefined,
      readFile: (name) => file(name)?.text,
      getDefaultLibFileName: () => `${LIBRARIES}/${LIBRARY}`,
      getDefaultLibLocation: () => LIBRARIES,
      getCurrentDirectory: () => "/",
      getCanonicalFileName: (name) => name,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => "\n",
      directoryExists: () => false,
      getDirectories: () => [],
      writeFile: () => {},
    };
  }

  #transpile(source: string): ts.TranspileOutput {
    return this.#ts.transpileModule(source, {
      fileName: TOOL,
      reportDiagnostics: true,
      compilerOptions: { ...this.#options, removeComments: true, noEmit: false, lib: [] },
    });
  }

  #fix(name: string, text: string): void {
    this.#fixed.set(name, this.#parse(name, text));
  }

  #parse(name: string, text: string): ts.SourceFile {
    const version = this.#options.target ?? this.#ts.ScriptTarget.ESNext;
    return this.#ts.createSourceFile(name, text, version, true);
  }

  #found({ start = 0, code, messageText }: ts.Diagnostic): Found {
    const whole = this.#ts.flattenDiagnosticMessageText(messageText, "\n");
    return { at: start, message: sentenceOf(code, whole) };
  }

  #refused(source: string, found: readonly Found[]): Checked {
    const places = new Places(source);
    const problems = [...found].sort((a, b) => a.at - b.at).slice(0, LIMITS.toolProblemsShownMax)
      .map(({ at, message }) => ({ ...places.of(at), message }));
    return { ok: false, problems };
  }
}

/**
 * A source with types around the tool: `export default (⟨tool⟩)satisfies $port.Tool;`, so that its
 * parameters get their types from there, and with the type of what it returns, so that a wrong
 * `return` is reported where it stands.
 */
class TypedSource {
  readonly text: string;
  readonly #added: readonly { readonly at: number; readonly text: string }[];
  readonly #start: number;

  constructor(typescript: TypeScript, file: ts.SourceFile) {
    const statement = toolOf(typescript, file)!;
    const isFunction = typescript.isFunctionDeclaration(statement);
    const tool = isFunction ? statement : unwrapped(typescript, statement.expression);
    this.#start = tool.getStart(file);
    const open = isFunction
      ? statement.modifiers!.find(({ kind }) => kind === typescript.SyntaxKind.DefaultKeyword)!.end
      : statement.expression.getStart(file);
    const close = isFunction ? statement.end : statement.expression.end;
    this.#added = [
      { at: open, text: "(" },
      ...returnType(typescript, file, tool),
      { at: close, text: `)satisfies ${RESERVED}.Tool;` },
    ];
    let text = "";
    let from = 0;
    for (const added of this.#added) {
      text += file.text.slice(from, added.at) + added.text;
      from = added.at;
    }
    this.text = text + file.text.slice(from);
  }

  /** Where in the source an offset of `text` is; what was added stands for the tool's start. */
  original(offset: number): number {
    let shift = 0;
    for (const { at, text } of this.#added) {
      const from = at + shift;
      if (offset < from) break;
      if (offset < from + text.length) return this.#start;
      shift += text.length;
    }
    return offset - shift;
  }
}

function unwrapped(typescript: TypeScript, expression: ts.Expression): ts.Expression {
  let inner = expression;
  while (typescript.isParenthesizedExpression(inner)) inner = inner.expression;
  return inner;
}

function returnType(
  typescript: TypeScript,
  file: ts.SourceFile,
  tool: ts.Node,
): readonly { readonly at: number; readonly text: string }[] {
  const { SyntaxKind } = typescript;
  const isArrow = typescript.isArrowFunction(tool);
  const isFunction = typescript.isFunctionExpression(tool) ||
    typescript.isFunctionDeclaration(tool);
  if (!isArrow && !isFunction) return [];
  if (tool.type !== undefined || tool.asteriskToken !== undefined) return [];
  const at = (isArrow ? tool.equalsGreaterThanToken : tool.body!).getFullStart();
  // A lone parameter without parentheses has no place for a type.
  if (file.text[at - 1] !== ")") return [];
  const isAsync = tool.modifiers?.some(({ kind }) => kind === SyntaxKind.AsyncKeyword) === true;
  const output = `${RESERVED}.Output`;
  return [{ at, text: isAsync ? `:Promise<${output}>` : `:${output}|Promise<${output}>` }];
}

function optionsOf({ ModuleKind, ModuleDetectionKind, ...typescript }: TypeScript) {
  return {
    target: typescript.ScriptTarget.ES2023,
    lib: [LIBRARY],
    module: ModuleKind.ESNext,
    moduleResolution: typescript.ModuleResolutionKind.Bundler,
    moduleDetection: ModuleDetectionKind.Force,
    types: [],
    strict: true,
    noResolve: true,
    noEmit: true,
    skipLibCheck: true,
    allowUnreachableCode: true,
    allowUnusedLabels: true,
    sourceMap: false,
  } satisfies ts.CompilerOptions;
}
