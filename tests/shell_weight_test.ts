/**
 * How much harm a call of a program could do, as a table: what is not known is held to do anything.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../mod.ts";
import { programResource, type RunClass, weigh } from "../kernel/shell.ts";

const TABLE: readonly (readonly [line: string, is: RunClass, env?: Record<string, string>])[] = [
  ["true", "harmless"],
  ["echo rm -rf /", "harmless"],
  ["date +%s", "harmless"],
  ["date -u", "harmless"],
  ["date -s tomorrow", "anything"],
  ["date 010100002030", "anything"],
  ["date -f secret.txt", "anything"],
  ["cat a.txt", "reads"],
  ["ls -la", "reads"],
  ["grep -r rm .", "reads"],
  ["find . -name *.ts", "reads"],
  ["find . -delete", "destroys"],
  ["find . -exec ls {} ;", "anything"],
  ["find . -execdir rm {} ;", "destroys"],
  ["find . -fprint out", "changes"],
  ["sort a.txt", "reads"],
  ["sort -rn -k2 a.txt", "reads"],
  ["sort -o a.txt b.txt", "anything"],
  ["sort -no a.txt b.txt", "anything"],
  ["sort --output=a.txt b.txt", "anything"],
  ["sort --outp=a.txt b.txt", "anything"],
  ["sort --compress-program=./x b.txt", "anything"],
  ["uniq a.txt", "reads"],
  ["uniq a.txt b.txt", "changes"],
  ["tree -L 2 src", "reads"],
  ["tree -o out.txt", "changes"],
  ["tree -aRH . src", "changes"],
  ["tree --output=out.txt", "changes"],
  ["split -b 1M a.txt", "changes"],
  ["split --filter=./x a.txt", "anything"],
  ["split --fil=rm a.txt", "destroys"],
  ["install -m 644 a b", "changes"],
  ["install -s --strip-program=./x a b", "anything"],
  ["patch -p1", "anything"],
  ["cp a b", "changes"],
  ["mv a b", "changes"],
  ["tee out.txt", "changes"],
  ["rm a", "destroys"],
  ["dd if=/dev/zero of=a", "destroys"],
  ["truncate -s 0 a", "destroys"],
  ["kill -9 1", "destroys"],
  ["git status", "anything"],
  ["git log", "anything"],
  ["git -c core.pager=./x log", "anything"],
  ["git clean -fdx", "destroys"],
  ["git reset --hard", "destroys"],
  ["git push --force", "destroys"],
  ["env", "anything"],
  ["env X=1 make", "anything"],
  ["env X=1 rm -rf src", "destroys"],
  ["xargs cat", "anything"],
  ["xargs rm", "destroys"],
  ["sh -c ls", "anything"],
  ["bash -c x=1;rm$IFS-rf$IFS/", "destroys"],
  ["python3 -c print(1)", "anything"],
  ["awk {print}", "anything"],
  ["sed s/a/b/", "anything"],
  ["make", "anything"],
  ["make clean", "destroys"],
  ["npm test", "anything"],
  ["curl https://a.example", "anything"],
  ["nobody-knows-it", "anything"],
  ["./run.sh", "anything"],
  ["toString", "anything"],
  ["__proto__", "anything"],
  ["echo hi", "harmless", { LANG: "C" }],
  ["echo hi", "anything", { NODE_OPTIONS: "x" }],
  ["rm a", "destroys", { X: "x" }],
];

for (const [line, is, env] of TABLE) {
  Deno.test(`The weight of ${line}${env === undefined ? "" : ` with ${JSON.stringify(env)}`}: ${is}`, () => {
    const [program = "", ...args] = line.split(" ");
    const weight = weigh({ program, args, ...env === undefined ? {} : { env } });
    assert.equal(weight.class, is);
    assert.notEqual(weight.why, "");
  });
}

Deno.test("A word that destroys is found by itself, not within another", () => {
  const inside = weigh({ program: "sh", args: ["-c", "echo warm; printf normal"] });
  assert.equal(inside.class, "anything");
});

const NAMED: readonly (readonly [cwd: string, program: string, resource: string | null])[] = [
  [".", "git", "git"],
  ["./a", "git", "git"],
  [".", "./x.sh", "./x.sh"],
  ["./a", "../x.sh", "./x.sh"],
  ["./a", "b/x.sh", "./a/b/x.sh"],
  [".", "../x.sh", null],
  [".", "/bin/sh", null],
  [".", "", null],
  [".", "a b", null],
  [".", "git\n", null],
  [".", "*", null],
  [".", "-x", null],
  [".", "..", null],
];

for (const [cwd, program, resource] of NAMED) {
  Deno.test(`The resource of ${JSON.stringify(program)} in ${cwd}: ${resource}`, () => {
    if (resource !== null) assert.equal(programResource(cwd, program), resource);
    else assert.throws(() => programResource(cwd, program), SysError);
  });
}
