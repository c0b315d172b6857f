/** The form as a command, for a shell. */
import type { Values } from "../api/types";

const PLAIN = /^[\w.,:/+=-]+$/; // means itself in every shell

const quoted = (text: string) => (PLAIN.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

export function commandOf(values: Values): string {
  const options = Object.entries(values).map(([name, value]) => `--${name.replace(/_/g, "-")} ${quoted(String(value))}`);
  return ["acestep generate", ...options].join(" ");
}
