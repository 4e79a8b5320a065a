/**
 * What is refused in a source that parses: a tool is one function, reached by `export default`,
 * with declarations beside it, and has no way to another module or to code made from text.
 *
 * These rules make sentences that say what to do. The walls are the sandbox's.
 * @module
 */

import type ts from "typescript";

/** The compiler, as it was loaded. */
export type TypeScript = typeof ts;

/** Something wrong, at an offset. */
export interface Found {
  /** In UTF-16 units. */
  readonly at: number;
  /** A sentence. */
  readonly message: string;
}

/** The names that the checker adds; a source may not say them. */
export const RESERVED = "$port";

/** How many nodes of the syntax tree may stand inside each other. */
const DEPTH_MAX = 500;

const DEEP = `Cannot check the source: nested deeper than ${DEPTH_MAX}, expected flatter code`;
const IMPORT = "Cannot import: a tool has no modules, expected only os and the globals";
const META = 'Cannot use "import.meta": a tool does not know where it is';
const EXPORT = 'Cannot export this: expected one "export default" and no other export';
const NAMESPACE = "Cannot declare a namespace or global: expected plain declarations";
const DECLARE = 'Cannot use "declare": what is not there cannot be declared into being';
const DECORATOR = "Cannot use a decorator: expected a plain class or function";
const WITH = 'Cannot use "with": expected plain property access';
const AWAIT = "Cannot await at the top level: await inside the tool's function";
const TOP_LEVEL = "Cannot run code at the top level: move it into the tool's function";
const NO_TOOL = 'Cannot find the tool: expected "export default async (input, os) => output"';
const NO_FUNCTION = 'Cannot use this as the tool: expected "export default" of a function';

/** The place that is nested too deeply for all that is done with a source, if there is one. */
export function depthProblems(typescript: TypeScript, file: ts.SourceFile): readonly Found[] {
  const deep = (node: ts.Node, depth: number): ts.Node | undefined =>
    depth > DEPTH_MAX
      ? node
      : typescript.forEachChild(node, (child: ts.Node) => deep(child, depth + 1));
  const node = deep(file, 0);
  return node === undefined ? [] : [{ at: node.getStart(file), message: DEEP }];
}

/** What is wrong with a source that parses, in order of place. Its depth was looked at before. */
export function syntaxProblems(typescript: TypeScript, file: ts.SourceFile): readonly Found[] {
  const walk = new Walk(typescript, file);
  walk.file();
  return walk.found.sort((a, b) => a.at - b.at);
}

/** The statement which is the tool, if there is one. */
export function toolOf(
  typescript: TypeScript,
  file: ts.SourceFile,
): ts.ExportAssignment | ts.FunctionDeclaration | undefined {
  for (const statement of file.statements) {
    if (typescript.isExportAssignment(statement) && statement.isExportEquals !== true) {
      return statement;
    }
    if (typescript.isFunctionDeclaration(statement) && isDefault(typescript, statement)) {
      return statement;
    }
  }
  return undefined;
}

function isDefault(typescript: TypeScript, node: ts.HasModifiers): boolean {
  return node.modifiers?.some(({ kind }) => kind === typescript.SyntaxKind.DefaultKeyword) === true;
}

class Walk {
  readonly found: Found[] = [];
  readonly #ts: TypeScript;
  readonly #file: ts.SourceFile;
  readonly #refused: ReadonlyMap<ts.SyntaxKind, string>;
  readonly #plain: ReadonlySet<ts.SyntaxKind>;

  constructor(typescript: TypeScript, file: ts.SourceFile) {
    const { SyntaxKind } = typescript;
    this.#ts = typescript;
    this.#file = file;
    this.#refused = new Map([
      [SyntaxKind.ImportDeclaration, IMPORT],
      [SyntaxKind.ImportEqualsDeclaration, IMPORT],
      [SyntaxKind.ImportType, IMPORT],
      [SyntaxKind.ExportDeclaration, EXPORT],
      [SyntaxKind.NamespaceExportDeclaration, EXPORT],
      [SyntaxKind.ModuleDeclaration, NAMESPACE],
      [SyntaxKind.Decorator, DECORATOR],
      [SyntaxKind.WithStatement, WITH],
    ]);
    this.#plain = new Set([
      SyntaxKind.FunctionDeclaration,
      SyntaxKind.ClassDeclaration,
      SyntaxKind.InterfaceDeclaration,
      SyntaxKind.TypeAliasDeclaration,
      SyntaxKind.EnumDeclaration,
      SyntaxKind.VariableStatement,
      SyntaxKind.ExportAssignment,
      SyntaxKind.EmptyStatement,
    ]);
  }

  file(): void {
    let tools = 0;
    for (const statement of this.#file.statements) {
      if (this.#exports(statement)) tools++;
      if (tools > 1 && this.#exports(statement)) this.#refuse(statement, EXPORT);
      this.#topLevel(statement);
      this.#node(statement, false);
    }
    if (tools === 0) this.found.push({ at: 0, message: NO_TOOL });
  }

  /** Whether a statement is an `export default`. */
  #exports(statement: ts.Statement): boolean {
    if (this.#ts.isExportAssignment(statement)) return statement.isExportEquals !== true;
    return this.#ts.canHaveModifiers(statement) && isDefault(this.#ts, statement);
  }

  #topLevel(statement: ts.Statement): void {
    const { kind } = statement;
    if (this.#ts.isExportAssignment(statement) && statement.isExportEquals === true) {
      return this.#refuse(statement, EXPORT);
    }
    if (this.#exports(statement)) {
      const isTool = this.#ts.isExportAssignment(statement) ||
        (this.#ts.isFunctionDeclaration(statement) && statement.body !== undefined);
      if (!isTool) this.#refuse(statement, NO_FUNCTION);
      return;
    }
    const isDirective = this.#ts.isExpressionStatement(statement) &&
      this.#ts.isStringLiteral(statement.expression);
    if (this.#plain.has(kind) || this.#refused.has(kind) || isDirective) return;
    if (!this.#awaits(statement) && !this.#imports(statement)) this.#refuse(statement, TOP_LEVEL);
  }

  /** Whether a statement is one expression for which there is a better sentence. */
  #awaits(statement: ts.Statement): boolean {
    if (this.#ts.isForOfStatement(statement)) return statement.awaitModifier !== undefined;
    return this.#ts.isExpressionStatement(statement) &&
      this.#ts.isAwaitExpression(statement.expression);
  }

  #imports(statement: ts.Statement): boolean {
    return this.#ts.isExpressionStatement(statement) &&
      this.#ts.isCallExpression(statement.expression) &&
      statement.expression.expression.kind === this.#ts.SyntaxKind.ImportKeyword;
  }

  #node(node: ts.Node, inFunction: boolean): void {
    const message = this.#refused.get(node.kind) ?? this.#messageOf(node, inFunction);
    if (message !== undefined) this.#refuse(node, message);
    const inside = inFunction || this.#ts.isFunctionLike(node);
    this.#ts.forEachChild(node, (child) => this.#node(child, inside));
  }

  #messageOf(node: ts.Node, inFunction: boolean): string | undefined {
    const { SyntaxKind, NodeFlags } = this.#ts;
    switch (node.kind) {
      case SyntaxKind.Identifier:
      case SyntaxKind.PrivateIdentifier:
        return this.#nameProblem(node);
      case SyntaxKind.MetaProperty: {
        const { keywordToken, name } = node as ts.MetaProperty;
        if (keywordToken !== SyntaxKind.ImportKeyword) return undefined;
        // Otherwise it is a phase of an import: `import.defer("…")`.
        return name.text === "meta" ? META : IMPORT;
      }
      case SyntaxKind.CallExpression:
      case SyntaxKind.NewExpression:
        return this.#callProblem(node as ts.CallExpression | ts.NewExpression);
      case SyntaxKind.AwaitExpression:
        return inFunction ? undefined : AWAIT;
      case SyntaxKind.ForOfStatement:
        return inFunction || (node as ts.ForOfStatement).awaitModifier === undefined
          ? undefined
          : AWAIT;
      case SyntaxKind.VariableDeclarationList: {
        const awaits = (node.flags & NodeFlags.AwaitUsing) === NodeFlags.AwaitUsing;
        return awaits && !inFunction ? AWAIT : undefined;
      }
      case SyntaxKind.ExportKeyword:
        return this.#isDefaulted(node) ? undefined : EXPORT;
      case SyntaxKind.DeclareKeyword:
        return node.parent.kind === SyntaxKind.PropertyDeclaration ? undefined : DECLARE;
      default:
        return undefined;
    }
  }

  #isDefaulted(node: ts.Node): boolean {
    return this.#ts.canHaveModifiers(node.parent) && isDefault(this.#ts, node.parent);
  }

  #nameProblem(node: ts.Node): string | undefined {
    const written = this.#file.text.slice(node.getStart(this.#file), node.end);
    if (/[^\x20-\x7e]/.test(written)) {
      return `Cannot use the name "${written}": expected letters of ASCII`;
    }
    if (written.includes("\\")) return `Cannot use an escape in the name "${written}"`;
    return written === RESERVED ? `Cannot use the name "${written}": reserved` : undefined;
  }

  #callProblem({ expression }: ts.CallExpression | ts.NewExpression): string | undefined {
    if (expression.kind === this.#ts.SyntaxKind.ImportKeyword) return IMPORT;
    if (!this.#ts.isIdentifier(expression)) return undefined;
    if (expression.text === "require") return IMPORT;
    return expression.text === "eval" || expression.text === "Function"
      ? `Cannot use "${expression.text}": a tool cannot make code from text`
      : undefined;
  }

  #refuse(node: ts.Node, message: string): void {
    const at = node.getStart(this.#file);
    if (!this.found.some((one) => one.at === at)) this.found.push({ at, message });
  }
}
