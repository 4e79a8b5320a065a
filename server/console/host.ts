/**
 * Names of hosts: what stands behind punycode, and which scripts a name is written in.
 * @module
 */

const BASE = 36;
const T_MAX = 26;
const CODES_MAX = 63;

/** A host with its labels of punycode (`xn--…`) as they read. */
export function hostText(host: string): string {
  return host.split(".").map((label) => {
    if (!/^xn--/i.test(label)) return label;
    return decoded(label.slice(4).toLowerCase()) ?? label;
  }).join(".");
}

/** RFC 3492; undefined for what is none. */
function decoded(text: string): string | undefined {
  const dash = text.lastIndexOf("-");
  const codes = dash < 0 ? [] : [...text.slice(0, dash)].map((char) => char.charCodeAt(0));
  const digits = [...text.slice(dash + 1)].map(digitOf);
  let [code, bias, at] = [128, 72, 0];
  for (let i = 0; i < digits.length;) {
    const before = at;
    for (let weight = 1, k = BASE;; k += BASE) {
      const digit = digits[i];
      if (digit === undefined || digit < 0) return undefined;
      i += 1;
      at += digit * weight;
      const threshold = Math.min(T_MAX, Math.max(1, k - bias));
      if (digit < threshold) break;
      weight *= BASE - threshold;
    }
    const length = codes.length + 1;
    bias = adapted(at - before, length, before === 0);
    code += Math.floor(at / length);
    at %= length;
    if (code > 0x10ffff || length > CODES_MAX) return undefined;
    codes.splice(at, 0, code);
    at += 1;
  }
  return String.fromCodePoint(...codes);
}

function digitOf(char: string): number {
  if (/[a-z]/.test(char)) return char.charCodeAt(0) - 97;
  return /\d/.test(char) ? char.charCodeAt(0) - 22 : -1;
}

function adapted(delta: number, length: number, isFirst: boolean): number {
  let rest = Math.floor(delta / (isFirst ? 700 : 2));
  rest += Math.floor(rest / length);
  let k = 0;
  for (; rest > 455; k += BASE) rest = Math.floor(rest / 35);
  return k + Math.floor(36 * rest / (rest + 38));
}

const SCRIPTS = ["Latin", "Cyrillic", "Greek", "Armenian", "Hebrew", "Arabic", "Han", "Hiragana"];
const OTHERS = ["Katakana", "Hangul", "Thai", "Cherokee", "Devanagari", "Georgian", "Lisu"];
const TESTS = [...SCRIPTS, ...OTHERS].map((name) =>
  [name, new RegExp(`\\p{Script=${name}}`, "u")] as const
);

/** The scripts that a name is written in. */
export function scriptsOf(name: string): string[] {
  const labels = name.split(".");
  // What the registry gave is Latin in most names and is no mixture.
  const own = labels.length > 1 ? labels.slice(0, -1).join("") : name;
  return TESTS.filter(([, test]) => test.test(own)).map(([script]) => script);
}
